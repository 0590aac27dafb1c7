# shellcheck shell=dash
. /case/card.sh
turn

# --- started anew: the second half ---

if [ "$turn" = 2 ]; then
	is "a guest that starts anew is the same client" "$(bridge gpu generation clients)" "1 1"
	use 01 gpu way
	lspci -s $card -xxxx >/out/lspci
	exits "the driver, after a reboot" 0 insmod /case/labdrive.ko
	works "after a reboot"

	# Somebody pulls the cable: the guest lives on, is told to let the card go, and gets another.
	use 02 other other-way
	pull
	unplug other
	soon "it can be unplugged with its driver at work" absent
	plug_again
	soon "its driver takes it" here
	works "as a new generation" "1 msi"
	is "it is the second" "$(bridge other generation state dma_refused refused_messages)" "2 running 0 0"

	# Nobody can ask for an unplug: all-ones, for good.
	use 01 gpu way
	pull
	exits "the driver of a card that is gone goes" 0 rmmod labdrive
	is "the ids of a card that is gone" "$(setpci -s $card 0.l)" ffffffff
	run lspci -xxxx
	is "the guest looks at all of them" "$rc" 0
	return
fi

# --- as it came ---

use 01 gpu way
lspci -s $card -vv >$T/words
has "Resizable BAR has the size that is, and no other" 'BAR 1: current size: 256MB, supported: 256MB' $T/words
for irqs in "9 msix" "1 msi" "1 intx"; do
	exits "a driver with $irqs" 0 insmod /case/labdrive.ko "irq=${irqs#* }"
	works "$irqs" "$irqs"
	rmmod labdrive
done
is "an IOMMU where there should be one" "$([ -e $PCI/$card/iommu ] && echo yes)" "$(cat /case/iommu)"
insmod /case/labdrive.ko
echo "24 5" >$dev/poke
exits "the function is reset" 0 sh -c "echo 1 >$dev/reset"
is "its registers begin anew" "$(reads 24)" 00000000
works "after a reset of the function"

# --- a guest that starts anew in the middle of it all ---

under_load
sync
reboot -f
