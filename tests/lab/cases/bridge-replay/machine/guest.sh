# shellcheck shell=dash
. /case/card.sh
use 01 gpu way
exits "a driver that does the same each time" 0 insmod /case/labdrive.ko seed=7
is "registers" "$(cat $dev/regs)" ok
is "DMA to the card, by its checksum" "$(cat $dev/sent)" ok
is "interrupts" "$(cat $dev/irqs)" "ok 9 msix"
echo "24 1234" >$dev/poke
is "a register that was written" "$(reads 24)" 00001234
exits "the driver goes" 0 rmmod labdrive
