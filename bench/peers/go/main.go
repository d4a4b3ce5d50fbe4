// What a team that writes Go would put in kefu-ingress's place: net/http, redigo, amqp091. Each push is one SET NX and one
// confirmed publish to one quorum queue. Several channels are no faster than one, and would lose the order of a user's pushes.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
	amqp "github.com/rabbitmq/amqp091-go"
)

const queue = "peer.go"

var token = os.Getenv("TOKEN")

type callback struct {
	key     []byte
	block   cipher.Block
	redis   *redis.Pool
	channel *amqp.Channel
}

// open verifies a push in safe mode and decrypts it. The status is 0 when all is well.
func (c *callback) open(r *http.Request) (msg []byte, status int) {
	raw, err := io.ReadAll(r.Body)
	var e struct{ Encrypt string }
	if err != nil || xml.Unmarshal(raw, &e) != nil {
		return nil, 400
	}
	q := r.URL.Query()
	p := []string{token, q.Get("timestamp"), q.Get("nonce"), e.Encrypt}
	sort.Strings(p)
	sum := sha1.Sum([]byte(strings.Join(p, "")))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(q.Get("msg_signature"))) != 1 {
		return nil, 401
	}
	b, err := base64.StdEncoding.DecodeString(e.Encrypt)
	if err != nil || len(b) < 32 || len(b)%16 != 0 {
		return nil, 400
	}
	cipher.NewCBCDecrypter(c.block, c.key[:16]).CryptBlocks(b, b)
	n := int(binary.BigEndian.Uint32(b[16:20]))
	if n > len(b)-20 {
		return nil, 400
	}
	return b[20 : 20+n], 0
}

func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	msg, status := c.open(r)
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	var m struct{ MsgId int64 }
	if xml.Unmarshal(msg, &m) != nil {
		w.WriteHeader(400)
		return
	}
	appid := r.URL.Path[len("/push/"):]
	conn := c.redis.Get()
	fresh, err := redis.String(conn.Do("SET", "dedup:"+appid+":"+strconv.FormatInt(m.MsgId, 10), 1, "EX", 60, "NX"))
	conn.Close()
	if err != nil && err != redis.ErrNil {
		w.WriteHeader(503)
		return
	}
	if fresh == "OK" {
		p := amqp.Publishing{DeliveryMode: amqp.Persistent, Body: msg}
		confirm, err := c.channel.PublishWithDeferredConfirmWithContext(r.Context(), "", queue, false, false, p)
		if err != nil || !confirm.Wait() {
			w.WriteHeader(503)
			return
		}
	}
	io.WriteString(w, "success")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	key := must(base64.StdEncoding.DecodeString(os.Getenv("AES_KEY") + "="))
	dial := func() (redis.Conn, error) { return redis.DialURL(os.Getenv("REDIS_URL")) }
	channel := must(must(amqp.Dial(os.Getenv("AMQP_URL"))).Channel())
	must(channel.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}))
	if err := channel.Confirm(false); err != nil {
		panic(err)
	}
	http.Handle("/push/", &callback{
		key:     key,
		block:   must(aes.NewCipher(key)),
		redis:   &redis.Pool{MaxIdle: 64, MaxActive: 64, Wait: true, Dial: dial},
		channel: channel,
	})
	panic(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}
