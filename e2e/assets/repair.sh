# What is compared of a host with an agent, and what damages are about. `base`, `base6`, `mac` and `mac6`
# are of the other host, `own` and `own6` the subnets of this one where a route drops what is for nobody.

# Without numbers of interfaces, in whose order the kernel lists.
state() {
    {
        # After `link show` the rest of a batch is about links, too.
        ip -force -d -o -batch - <<<$'addr show dev flannel.1\naddr show dev flannel-v6.1
            neigh show nud permanent\nroute show proto 78
            link show dev flannel.1\nlink show dev flannel-v6.1'
        ip -6 -o route show proto 78
        bridge fdb show
        nft list table inet netd_cluster
        echo "$(</run/flannel/subnet.env)"
    } 2>/dev/null | sed -E 's/^[0-9]+: //; /inet6 fe80/d; /^[0-9a-f]{2}:[0-9a-f]{2}:/{/ dst /!d}' | sort
}
devices() {
    local line
    while read -r line; do
        [[ $line == *'inet6 fe80'* ]] || echo "${line#*: }"
    done < <(ip -force -d -o -batch - <<<$'addr show dev flannel.1\naddr show dev flannel-v6.1
        link show dev flannel.1\nlink show dev flannel-v6.1')
}
# What is looked at first, of a kind of objects: how long a look takes is part of what is measured.
part() {
    case $1 in
    device | MAC | address) devices ;;
    route | 'route that drops') ip -o route show proto 78; ip -6 -o route show proto 78 ;;
    neighbour) ip -o neigh show nud permanent ;;
    forwarding) bridge fdb show ;;
    rule | table) nft list table inet netd_cluster ;;
    subnet.env) echo "$(</run/flannel/subnet.env)" ;;
    *) state ;;
    esac 2>/dev/null || true
}
first() { awk '$1 != "blackhole" {sub("/.*", ""); print; exit}'; }
base=$(ip route show proto 78 | first)
base6=$(ip -6 route show proto 78 | first)
own=$(ip route show type blackhole | awk '{print $2}')
own6=$(ip -6 route show type blackhole | awk '{print $2}')
mac=$(ip neigh show $base nud permanent | awk '{print $5}')
mac6=$(ip neigh show $base6 nud permanent | awk '{print $5}')
address() { ip -o "$1" addr show dev "$2" scope global | awk '{print $4; exit}'; }
# The number of the last rule that has a word.
rule() { nft -a list chain inet netd_cluster postrouting | awk -v "word=$1" 'index($0, word) {n = $NF} END {print n}'; }

kind=${kind-}
before=$(state) part=$(part "$kind")
[ -n "$base" ] && [ -n "$base6" ] && [ -n "$(rule @cluster4)" ] && [ -n "$(rule @cluster6)" ]
now() { echo "${EPOCHREALTIME/./}"; }
# Between looks, so that what looks does not take the processor from what is looked at.
exec {silence}<> <(:)
pause() {
    if [ $((${EPOCHREALTIME/./} - start)) -gt 5000000 ]; then
        diff <(echo "$before") <(state) >&2 || true
        exit 1
    fi
    read -rt 0.002 -u "$silence" || true
}
# Prints after how many milliseconds since `start` all is as it was.
until_equal() {
    local took
    until [ "${took+$(state)}" = "$before" ]; do
        [ -z "${took+again}" ] || pause
        while [ "$(part "$kind")" != "$part" ]; do pause; done
        took=$(((${EPOCHREALTIME/./} - start) / 1000))
    done
    echo "$took"
}
stands_still() {
    local status
    for status in /proc/$agent/task/*/status; do
        ! grep '^State:' "$status" 2>/dev/null | grep -v 'T (stopped)' >/dev/null || return 1
    done
}
# Each of its threads by itself; one that has just ended is none, and one that has just begun is seen the
# second time. A process that makes a thread at that very moment has been seen to go on: it is stopped again.
# One that does not stop shows what it is at.
stand_still() {
    start=$(now)
    kill -STOP "$agent"
    until stands_still && stands_still; do
        kill -STOP "$agent"
        [ $((${EPOCHREALTIME/./} - start)) -gt 10000000 ] || continue
        grep -H State: /proc/$agent/task/*/status >&2 || true
        head /proc/$agent/task/*/{wchan,stack} >&2 || true
        exit 1
    done
}
# An agent that stands still shows that the damage is one. It has been seen to repair though all of its threads
# had stopped: what is shown in one of three turns is one.
is_damaged() {
    local turn
    agent=$(pidof netd)
    for turn in 1 2 3; do
        stand_still
        damage
        if [ "$(state)" != "$before" ]; then
            start=$(now)
            kill -CONT "$agent"
            until_equal
            return
        fi
        kill -CONT "$agent"
    done
    echo "nothing is damaged in $turn turns: $(pidof netd), $(type damage)" >&2
    grep -H State: /proc/$agent/task/*/status >&2 || true
    nft -a list table inet netd_cluster >&2 || true
    exit 1
}
