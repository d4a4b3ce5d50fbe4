module kefu-bench-peer

go 1.19

require (
	github.com/gomodule/redigo v1.8.3
	github.com/rabbitmq/amqp091-go v1.5.0
)

// Debian's and Ubuntu's packages have the libraries' sources.
replace (
	github.com/gomodule/redigo => /usr/share/gocode/src/github.com/gomodule/redigo
	github.com/rabbitmq/amqp091-go => /usr/share/gocode/src/github.com/rabbitmq/amqp091-go
)
