# Functions for one point of the kill-safety test, run on a host of the lab: ADD, DEL and GC of a
# chain of plugins as a runtime calls them, and what is left of them. Sourced by bash.
set -u
export CNI_CONTAINERID=web CNI_IFNAME=eth0 CNI_ARGS="IgnoreUnknown=1;IP=10.1.0.5"
BIN=/opt/cni/bin
NETNS=/run/netns/web
PLUGINS=(bridge portmap firewall)
REVERSE=(firewall portmap bridge)

# call VERB PLUGIN [WORD...]: the plugin, started by the words before its name.
call() {
    local verb=$1 plugin=$2
    shift 2
    CNI_COMMAND=$verb CNI_NETNS=$NETNS CNI_PATH=$BIN "$@" "$BIN/$plugin" \
        <"/run/conf/$plugin.$verb.json" >/run/answer 2>/run/complaints
}

# must VERB PLUGIN: the call has to succeed.
must() {
    call "$1" "$2" || echo "$1 of $2 failed: $(tr -d '\n' </run/answer)"
}

add() { local p; for p in "$@"; do must ADD "$p"; done; }
del() { local p; for p in "$@"; do must DEL "$p"; done; }
collect() { local p; for p in "${PLUGINS[@]}"; do must GC "$p"; done; }

# A datagram through the published port leaves a flow that is translated.
knock() { echo x >/dev/udp/192.0.2.10/5353; }

# All that an attachment could leave, without counters, handles, times and states.
snapshot() {
    nft -s list ruleset
    ip -o link | awk -F': ' '{ sub(/@.*/, "", $2); print "link", $2 }'
    ip -o addr | awk '$4 !~ /^fe80/ { print "address", $2, $4 }'
    ip route show table all | sed 's/ linkdown//; s/^/route /'
    ip -6 route show table all | grep -v -e fe80: -e ff00: | sed 's/^/route /'
    ip -n web -o link 2>/dev/null | grep -v ': lo:' | sed 's/^/inside /'
    find /run/netd /var/lib/cni | sort
    conntrack -L -p udp 2>/dev/null | grep -F 10.1.0.5 | sed 's/^udp *17 [0-9]* /flow /'
    return 0
}

# What is left, compared with the state after a clean ADD and DEL; nothing when all is well.
left() { snapshot | diff /run/conf/baseline - | grep '^[<>]'; }

# As a runtime does it, from a fresh namespace to none.
clean_cycle() {
    [ -e "$NETNS" ] || ip netns add web
    add "${PLUGINS[@]}"
    del "${REVERSE[@]}"
    ip netns del web
}
