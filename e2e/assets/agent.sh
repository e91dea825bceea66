# What is looked at, and undone, of a host that runs the agent: `bash agent.sh FUNCTION`.
set -u

# Tunnels, their parts, rules, and what the agent says of itself, by as few processes as can be.
look() {
    # After `link show` the rest of a batch is about links, too.
    ip -d -o -batch - <<<$'addr show\nroute show table all\nrule show\nneigh show nud permanent\nlink show'
    ip -6 -d -o -batch - <<<$'route show table all\nrule show'
    bridge fdb
    echo '-- rest --'
    nft -s list ruleset
    for file in /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding; do
        read -r value <"$file" && echo "$file:$value"
    done
    local said=
    exec 3<>/dev/tcp/127.0.0.1/8081 && printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3 &&
        while read -r line || [ -n "$line" ]; do said=$line; done <&3
    echo "$said"
} 2>/dev/null

# Nothing of ours in the kernel, as after a boot; an iptables that drops what is forwarded, as dockerd
# leaves it.
boot() {
    ip -force -batch - <<<$'link del pods0\nlink del pod0\nlink del flannel.1\nlink del flannel-v6.1
        link del flannel0\nroute flush proto 78'
    ip -6 route flush proto 78
    nft -f - <<<'flush ruleset
        table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }
        table ip6 filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }'
    rm -rf /run/netd /run/flannel /etc/cni/net.d/* /etc/cni/net.d/.[!.]*
    echo 0 >/proc/sys/net/ipv4/ip_forward
    echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
    true
} 2>/dev/null

# A bridge with an address, and a container's port on it.
attach() {
    ip link add pods0 address 02:00:00:00:77:20 type bridge
    ip addr add "$1" dev pods0
    ip link add pod0 address 02:00:00:00:77:21 type veth peer name pod1 address 02:00:00:00:77:22
    ip link set pod0 master pods0
}
detach() { ip -force -batch - <<<$'link del pods0\nlink del pod0' || true; } 2>/dev/null

# What the agent remembers is kept, and put back as it was then.
save() { rm -rf /opt/saved; cp -a /var/lib/netd /opt/saved; }
restore() { rm -rf /var/lib/netd; cp -a /opt/saved /var/lib/netd; }

# As if it had never run here.
wipe() { rm -rf /var/lib/netd; boot; }

# Another address of the interface between hosts.
move() {
    ip -batch - <<<"addr del $1/24 dev eth0
        addr add $2/24 dev eth0
        route add default via 192.0.2.1"
}

"$@"
