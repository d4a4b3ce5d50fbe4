# Ends what a test process started once that process is gone, however it went: standard input is a pipe that only the
# test process holds open. $1 is the folder of its files. Lines on the pipe: "started GROUP" and "ended GROUP".
trap '' HUP INT TERM
groups=
while read -r word group; do
  case $word in
    started) groups="$groups $group " ;;
    ended) groups="${groups%%" $group "*}${groups#*" $group "}" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
# What is dying may still write: look again.
tries=0
while rm -rf -- "$1" 2>/dev/null; [ -e "$1" ] && [ "$tries" -lt 100 ]; do tries=$((tries + 1)); sleep 0.1; done
