# A host gets another key: its file is removed, and netd started again. Containers and devices stay.
sealed
within 20 pings c1 "${v4[c2]}"
before=$(device h1; device h2)
known=$(inside h2 wg show netd-wg public-key)
die h2 TERM
rm /run/h2/lib/overlay-wgkey
back h2
refute test "$(inside h2 wg show netd-wg public-key)" = "$known"
renewed() { [ "$(inside h1 wg show netd-wg peers)" = "$(inside h2 wg show netd-wg public-key)" ]; }
within 20 renewed
within 20 pings c1 "${v4[c2]}"
within 20 pings c2 "${v6[c1]}"
same "$(device h1; device h2)" "$before"
