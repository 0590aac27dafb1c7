# shellcheck shell=dash
# Whatever is written and asked: what is granted is by the rules, and the kernel stays well. Sourced by guest.sh.

# --- the table of rules: whatever is written, it is one that can be written again ---
i=0 taken=0
while [ $i -lt 300 ]; do
	i=$((i + 1))
	awk -v seed=$i 'function r(n) { return int(rand() * n) }
		BEGIN { srand(seed); split("deny read-only log map dney open deny", v, " ")
			for (k = r(6); k >= 0; k--) { a = r(3) ? r(1000) : r(40000) * 4096; printf "%s %s 0x%x-0x%x%s", v[r(7) + 1], r(8) ? 2 : r(3) ? "config" : r(9) - 1, a, a + (r(4) ? r(50) - 2 : 4095), r(9) ? "\n" : "x" } }' >$T/noise
	cat $T/noise >$PCI/$MEMORY/berth/policy 2>/dev/null && taken=$((taken + 1))
	head -c $((i * 7)) /dev/urandom >$PCI/$MEMORY/berth/policy 2>/dev/null
	head -c 9 /dev/urandom >$PCI/$MEMORY/berth/bar2_mode 2>/dev/null
	cat $PCI/$MEMORY/berth/policy >$T/now
	[ ! -s $T/now ] || cat $T/now >$PCI/$MEMORY/berth/policy 2>/dev/null || fail "the table $i can be written again" "$(cat $T/now)"
	[ "$(cat $T/now)" = "$(cat $PCI/$MEMORY/berth/policy)" ] || fail "the table $i stays" "$(cat $T/now)"
done
if [ $taken -gt 20 ] && [ $taken -lt 280 ]; then ok "noise is told from rules"; else fail "noise is told from rules" "$taken of 300"; fi

# --- requests of a program ---
is "pages for noise" "$(put $MEMORY policy 'map 2 0x2000-0x7fff')" ok
before=$(told | wc -l)
for seed in 1 2 3; do
	is "what is asked, $seed" "$(vfio_noise $seed 3000 0x2000 0x7fff 2 group "$(basename "$(readlink "$PCI/$MEMORY/iommu_group")")" $MEMORY 2>&1 3>&-)" \
		"some granted, some refused"
done
is "and the kernel is silent" "$(told | tail -n +$((before + 1)) | head -n 3)" ""
put $MEMORY policy '\n' >/dev/null
