# One point of the kill-safety test, on a host of the lab: a chain of plugins is called as a runtime
# calls it, one call is cut, somebody cleans up, and what is left is told. `bash kill.sh FUNCTION
# WORD...`; it prints nothing where all is well.
set -u
export CNI_CONTAINERID=web CNI_IFNAME=eth0 CNI_ARGS="IgnoreUnknown=1;IP=10.1.0.5"
PLUGINS=(bridge portmap firewall)
BIN=/opt/cni/bin
NETNS=${NETNS-/run/netns/web}
# Configurations (PLUGIN.VERB.json) and what is to be seen with so many plugins attached (seen.N).
STATE=/run/kill

# call VERB PLUGIN [WORD...]: the plugin, started by the words before its name.
call() {
    local verb=$1 plugin=$2
    shift 2
    CNI_COMMAND=$verb CNI_NETNS=$NETNS CNI_PATH=$BIN "$@" "$BIN/$plugin" \
        <"$STATE/$plugin.$verb.json" >$STATE/answer 2>$STATE/complaints
}

must() { call "$@" || echo "$1 of $2 failed: $(tr -d '\n' <$STATE/answer)"; }
add() { local p; for p in "$@"; do must ADD "$p"; done; }
# In the order of the chain, called from its end.
del() { local i; for ((i = $#; i > 0; i--)); do must DEL "${!i}"; done; }
collect() { local p; for p in "${PLUGINS[@]}"; do must GC "$p"; done; }

# A datagram through the published port leaves a flow that is translated.
knock() { echo x >/dev/udp/192.0.2.10/5353; } 2>/dev/null

# Nothing of ours, and an iptables that drops what is forwarded, as dockerd leaves it.
wipe() {
    nft -f - <<<'flush ruleset
        table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }'
    ip link del red 2>/dev/null
    rm -rf /run/netd /var/lib/cni
    echo 0 >/proc/sys/net/ipv4/ip_forward
}

# All that an attachment could leave, less what the kernel adds in its own time; sorted, as elements
# are in no order.
snapshot() {
    {
        nft -s list ruleset
        look
        [ ! -e /run/netns/web ] || look -n web | sed -E '/: lo[: ]| dev lo /d; s/^/container /'
        find /run/netd /var/lib/cni
        conntrack -L -p udp | grep -m1 -oF 10.1.0.5 # a flow that is translated
    } 2>/dev/null | sed -E '
        /fe80:|ff00:/d
        s/^(container )?[0-9]+: ([^ ]+) +inet6? ([^ ]+).*/\1address \2 \3/; t
        s/^(container )?[0-9]+: ([^:@]+)[:@].*/\1link \2/; t
        s/ linkdown//
        s/^[ \t]*(elements = \{ )?//; s/,$//; s/ \}$//' | sort
}
look() { ip "$@" -o -batch - <<<$'link show\naddr show\nroute show table all'; }

# differs N -3|-13: what is seen beside what is to be seen with N plugins attached; with -3, what is
# not seen too.
differs() { snapshot | comm $2 "$STATE/seen.$1" -; }

# As a runtime does it, to a container and from it.
again() {
    [ -e /run/netns/web ] || ip netns add web
    NETNS=/run/netns/web
    add "${PLUGINS[@]}"
    knock
    differs ${#PLUGINS[@]} -3
    NETNS=
    del "${PLUGINS[@]}"
    ip netns del web
}

# What is to be seen at each stage.
learn() {
    local n
    wipe
    again >/dev/null
    snapshot >$STATE/seen.0
    NETNS=/run/netns/web
    ip netns add web
    for n in "${!PLUGINS[@]}"; do
        must ADD "${PLUGINS[n]}"
        knock
        snapshot >$STATE/seen.$((n + 1))
    done
    ip netns del web
    NETNS=
    del "${PLUGINS[@]}"
    differs 0 -3
    again
}

# The system calls and netlink messages of each call: `HOST VERB PLUGIN NAME` for each of them.
list() {
    local host
    for host in fresh used; do
        prepare $host
        list_calls $host ADD "${PLUGINS[@]}"
        knock
        NETNS=
        list_calls $host DEL firewall portmap bridge
        prepare $host
        list_messages $host ADD "${PLUGINS[@]}"
        knock
        NETNS=
        list_messages $host DEL firewall portmap bridge
        ip netns del web
    done
}
prepare() {
    [ $1 = used ] || wipe
    ip netns del web 2>/dev/null
    ip netns add web
    NETNS=/run/netns/web
}
list_calls() {
    local p
    for p in "${@:3}"; do
        must "$2" "$p" strace -f -qq -o $STATE/trace
        cut -d'(' -f1 $STATE/trace | awk -v "of=$1 $2 $p" '$2 ~ /^[a-z]/ { print of, $2 }'
    done
}
list_messages() {
    local p
    for p in "${@:3}"; do
        BIN=/opt/inject must "$2" "$p" env NETD_INJECT=count
        sed -n -E "s/^(message|look)( same)?$/$1 $2 $p \\1/p" $STATE/complaints
    done
}

# point HOST VERB N RECOVERY NTH BIN WORD...: cuts the call of the plugin number N. The first line
# says what became of it.
point() {
    local host=$1 verb=$2 n=$3 recovery=$4 nth=$5 bin=$6 code more=-3
    shift 6
    [ $host = used ] || more=-13
    prepare $host
    : >$STATE/trace
    {
        if [ "$verb" = ADD ]; then
            add "${PLUGINS[@]:0:n}"
        else
            add "${PLUGINS[@]}"
            knock
            NETNS=
            del "${PLUGINS[@]:n+1}"
        fi
    } >$STATE/setup
    { BIN=$bin call "$verb" "${PLUGINS[n]}" "$@"; } 2>/dev/null
    code=$?
    echo "code $code $(grep -o -m1 INJECTED $STATE/trace) $(tr -d '\n' <$STATE/answer | head -c 400)"
    cat $STATE/setup
    knock
    # What a call says of itself is true: DEL that succeeds, and ADD that fails, leave nothing.
    case $verb$code in
    DEL0) del "${PLUGINS[@]:0:n}"; differs 0 $more ;;
    ADD1) grep -q -e 'left behind' -e 'stay reserved' $STATE/answer || differs $n $more ;;
    esac
    # The namespace is gone, and its name with it or not.
    [ $recovery = gc ] && ((nth % 2)) || ip netns del web
    ((nth % 2)) || NETNS=
    case $recovery in
    del) del "${PLUGINS[@]}" ;;
    gc) collect ;;
    esac
    differs 0 $more
    again
}

"$@"
exit 0
