# M1, M2: networks of the cluster on parents of two hosts, which are on one wire: by ipvlan with addresses that no
# two hosts give out, and on a sub-interface that each host makes for itself and removes with the network.
container d1 d2
cluster '{"Network":"10.5.0.0/16","Backend":{"Type":"host-gw"}}'

# netd HOST WORDS...: netd network on a host.
netd() {
    (as_host "$1" /opt/e2e/netd network "${@:2}")
}

join() {
    netd h1 connect "$1" netns:/run/netns/d1
    netd h2 connect "$1" netns:/run/netns/d2
}

leave() {
    netd h1 disconnect "$1" netns:/run/netns/d1
    netd h2 disconnect "$1" netns:/run/netns/d2
}

of() {
    inside "$1" ip -4 -o address show eth0 | grep -o 'inet [0-9.]*' | cut -d' ' -f2
}

mac() {
    inside "$1" ip -o link show eth0 | grep -o 'ether [0-9a-f:]*'
}

# Both ways, by addresses of two hosts' blocks.
talk() {
    local one other
    one=$(of d1)
    other=$(of d2)
    [ "$one" != "$other" ]
    within 10 pings d1 "$other"
    pings d2 "$one"
}

netd h1 create -d ipvlan --scope global -o parent=eth0 --subnet 10.40.0.0/24 two >/dev/null
within 20 netd h2 inspect two >/dev/null
refute netd h2 create -d macvlan -o parent=eth0 --subnet 10.41.0.0/24 other
refute netd h2 create -d ipvlan --scope global -o parent=eth1 -o ipvlan_mode=l3 three
join two
talk
same "$(mac d1)" "$(mac h1)"
same "$(mac d2)" "$(mac h2)"
kill -9 "${agents[h2]}"
agent h2
within 60 netd h2 ls >/dev/null
talk
netd h1 disconnect two netns:/run/netns/d1
refute netd h1 rm two
netd h2 disconnect two netns:/run/netns/d2
netd h1 rm two
within 20 refute netd h2 inspect two >/dev/null

netd h1 create -d macvlan --scope global -o parent=eth0.10 --subnet 10.10.0.0/24 ten >/dev/null
inside h1 ip -d link show eth0.10 | grep 'vlan protocol 802.1Q id 10'
within 20 inside h2 ip link show eth0.10 >/dev/null
join ten
talk
inside h2 ip link del eth0.10
within 20 inside h2 ip link show eth0.10 >/dev/null
leave ten
kill -9 "${agents[h2]}"
netd h1 rm ten
refute inside h1 ip link show eth0.10
agent h2
within 60 refute inside h2 ip link show eth0.10 >/dev/null
