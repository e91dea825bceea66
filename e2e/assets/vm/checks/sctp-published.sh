# B4: a port of SCTP leads from outside to the container that it is published for, and nowhere when that is off.
listens() {
    inside c1 ss -Sln '( sport = :80 )' | grep -q LISTEN
}

modprobe sctp
ip address add 192.0.2.1/24 dev eth0
inside wire ip address add 192.0.2.2/24 dev eth0
netd network create app >/dev/null
netd network connect -p 8080:80/sctp app netns:/run/netns/c1
inside c1 socat -u SCTP4-LISTEN:80,fork STDOUT >/run/heard &
within 10 listens
echo hello | inside wire timeout 10 socat -u STDIN SCTP4:192.0.2.1:8080
within 5 grep -q hello /run/heard
netd network disconnect app netns:/run/netns/c1
echo again | refute inside wire timeout 2 socat -u STDIN SCTP4:192.0.2.1:8080
netd network rm app
