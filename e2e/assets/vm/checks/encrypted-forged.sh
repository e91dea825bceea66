# Whoever is on the wire and says that it is a host of the cluster gets no frame into an encrypted overlay, by no
# address of that host's, where it gets one into an overlay that is not.
sealed
netd h1 create -d overlay --subnet 172.30.8.0/24 open >/dev/null
joins h1 open c3
joins h2 open c4
within 20 pings c1 "${v4[c2]}"
within 20 pings c3 "${v4[c4]}"
of_sealed=$(vni sealed)
of_open=$(vni open)

# It has the other host's addresses, and answers nobody who asks for them.
container wire
ip link add port-wire type veth peer name eth0 netns wire
ip link set port-wire master br0 up
inside wire sysctl -qw net.ipv4.conf.all.arp_ignore=1
inside wire ip link set lo up
inside wire ip address add 192.0.2.3/24 dev eth0
inside wire ip address add 2001:db8::3/64 dev eth0 nodad
inside wire ip link set eth0 up
inside wire ip address add 192.0.2.2/32 dev lo
inside wire ip address add 2001:db8::2/128 dev lo
inside wire ip address add "$(inner h2)/128" dev lo
inside wire ip -6 route add "$(inner h1)/128" via 2001:db8::1
at_eth0=$(inside h1 ip -o link show eth0 | grep -o 'link/ether [0-9a-f:]*' | cut -d' ' -f2)
inside wire ip neigh add 2001:db8::1 lladdr "$at_eth0" dev eth0
inside wire ip neigh add 192.0.2.1 lladdr "$at_eth0" dev eth0

# forge VNI FROM TO CONTAINER CLAIMED: a frame to a container on h1.
forge() {
    local mac
    mac=$(inside "$4" ip -o link show eth0 | grep -o 'link/ether [0-9a-f:]*' | cut -d' ' -f2)
    inside wire ip link add forged type vxlan id "$1" dstport 4789 local "$2" remote "$3"
    inside wire ip address add "$5/24" dev forged
    inside wire ip link set forged up
    inside wire ip neigh add "${v4[$4]}" lladdr "$mac" dev forged
    inside wire busybox ping -c 2 -i 0.2 -W 1 "${v4[$4]}" >/dev/null || true
    inside wire ip link del forged
}

ways=("2001:db8::2 2001:db8::1" "$(inner h2) $(inner h1)")
[ "$under" = 6 ] || ways+=("192.0.2.2 192.0.2.1")
number=0
for way in "${ways[@]}"; do
    number=$((number + 1))
    watch "came-$number" h1 eth0 udp dst port 4789 and dst host "${way#* }"
    watch "in-$number" c1 eth0 icmp
    forge "$of_sealed" "${way% *}" "${way#* }" c1 172.30.7.99
    within 5 catches "came-$number" 2
    # After it comes what is let in.
    within 10 pings c2 "${v4[c1]}"
    within 5 catches "in-$number" 1 src host "${v4[c2]}"
    same "$(caught "in-$number" src host 172.30.7.99)" 0
done

# The same by an address of a host that is on the other network, which is not encrypted.
watch open c3 eth0 icmp and src host 172.30.8.99
forge "$of_open" "$(uplink 2)" "$(uplink 1)" c3 172.30.8.99
within 5 catches open 1

# What keeps it out is the table: without netd, which would put it right, and without the element it is let in.
die h1
inside h1 nft "delete element inet netd sealed_vnis { $(printf '%#x' "$of_sealed") }"
watch let-in c1 eth0 icmp and src host 172.30.7.99
forge "$of_sealed" "$(inner h2)" "$(inner h1)" c1 172.30.7.99
within 5 catches let-in 1
back h1
within 10 pings c1 "${v4[c2]}"
watch again c1 eth0 icmp
forge "$of_sealed" "$(inner h2)" "$(inner h1)" c1 172.30.7.99
within 10 pings c2 "${v4[c1]}"
within 5 catches again 1 src host "${v4[c2]}"
same "$(caught again src host 172.30.7.99)" 0
