/* SPDX-License-Identifier: MIT */
#include "bar-forward/options.h"

#include <stddef.h>

#include "bar-forward/backends.h"
#include "bar-forward/shape.h"
#include "bar-forward/verbs.h"

#define ROW(member) offsetof(struct options, member)
#define N_OF(rows)  (sizeof(rows) / sizeof((rows)[0]))

static const char *const glyph_names[] = { "auto", "ascii", "blocks", "braille", NULL };

/* clang-format off */
static const struct opt opts[] = {
	{ .name = "machine", .letter = 'm', .kind = OPT_TEXT, .arg = "DIR", .offset = ROW(machine),
	  .help = "Tell of a captured machine, and show what would be done there; nothing is changed, here or there." },
	{ .name = "memory", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(memory),
	  .min = 1 << 20, .max = INT64_MAX,
	  .help = "The guest's memory, such as 16G: all of it has to be locked, and shared with the bridge." },
	{ .name = "socket", .kind = OPT_LIST, .arg = "PATH", .offset = ROW(sockets),
	  .help = "The socket at which the device is served, one for each device; made for its user alone, and removed at the end." },
	{ .name = "socket-owner", .kind = OPT_TEXT, .arg = "USER:GROUP", .offset = ROW(socket_owner),
	  .help = "Who may connect, where the virtual machine is not of who starts the bridge: USER, USER:GROUP or :GROUP." },
	{ .name = "user", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(user),
	  .help = "Whose the processes are that the guest talks to, where root starts the bridge. Default: berth-bridge, or nobody." },
	{ .name = "backend", .kind = OPT_ENUM, .arg = "WHAT", .offset = ROW(backend), .choices = backend_names,
	  .help = "What drives a device that is served; vfio: the kernel's VFIO, by an iommufd where it has one; kmod: the "
		  "module berth_vfio, which gives clients pages and not the device; memory: DEV is a file that describes one "
		  "(berth.pcidevice/1); auto: as DEV is a file or has its driver." },
	{ .name = "policy", .kind = OPT_LIST, .arg = "[DEV=]FILE", .offset = ROW(policies),
	  .help = "What the guest may do with which registers; read anew on SIGHUP. Of several devices each has its own: "
		  "--policy 03:00.0=gpu.rules; --bar and --record likewise." },
	{ .name = "mode", .kind = OPT_ENUM, .arg = "WHAT", .offset = ROW(mode), .choices = grant_mode_names,
	  .help = "What the guest reaches without the bridge: trap: nothing; map: every page that no rule keeps; hybrid: what rules "
		  "map, without such rules the BARs of memory; auto: hybrid, but trap where that would hand the whole device over." },
	{ .name = "bar", .kind = OPT_LIST, .arg = "[DEV:]N=SIZE", .offset = ROW(bars),
	  .help = "Show a BAR smaller than it is, such as 1=256M, or 03:00.0:1=256M: its lower part. May be given again." },
	{ .name = "qmp", .kind = OPT_TEXT, .arg = "PATH", .offset = ROW(qmp),
	  .help = "The socket of QEMU's monitor (-qmp unix:PATH,server=on,wait=off): asked to unplug the device when it is lost." },
	{ .name = "libvirt", .kind = OPT_TEXT, .arg = "DOMAIN", .offset = ROW(libvirt),
	  .help = "Ask libvirt's domain to unplug it, by virsh qemu-monitor-command, in place of --qmp." },
	{ .name = "msix", .kind = OPT_ENUM, .arg = "WHAT", .offset = ROW(msix), .choices = shape_msix_names,
	  .help = "Whether the guest sees MSI-X; auto: not where it is to be unplugged and has MSI, since QEMU up to 11.1.3 aborts "
		  "when a device that shows MSI-X is unplugged." },
	{ .name = "order", .kind = OPT_FLAG, .offset = ROW(order),
	  .help = "Read a register without effects before each trapped write, so that it stays behind what was written into mapped "
		  "pages; for cards of which such a register is known." },
	{ .name = "guest", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(guest),
	  .help = "The virtual machine's name, for status and the monitor." },
	{ .name = "once", .kind = OPT_FLAG, .offset = ROW(once),
	  .help = "End when the first client has gone; exit 6 if the device was lost under it." },
	{ .name = "record", .kind = OPT_LIST, .arg = "[DEV=]FILE", .offset = ROW(records),
	  .help = "Record every access, interrupt and DMA event in FILE, of which the newest --record-size bytes stay." },
	{ .name = "record-size", .kind = OPT_SIZE, .arg = "SIZE", .offset = ROW(record_size), .min = 65536, .max = (uint64_t)3 << 40,
	  .help = "What a recording may take; 48 bytes an event. Allocated at once. Default 64M." },
	{ .name = "record-interrupts", .kind = OPT_FLAG, .offset = ROW(record_interrupts),
	  .help = "Have interrupts pass the bridge, so that they can be recorded, too; otherwise they go straight to the guest." },
	{ .name = "only", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(only),
	  .help = "Accesses of these places alone: bar0, bar0:0x100-0x1ff, config:4+2. May be given again." },
	{ .name = "except", .kind = OPT_LIST, .arg = "WHERE", .offset = ROW(except),
	  .help = "All but the accesses of these places, such as a clock that never reads the same." },
	{ .name = "kind", .kind = OPT_LIST, .arg = "KIND", .offset = ROW(kinds),
	  .help = "Events of this kind alone: read, write, irq, dma, reset, client, lost, device, worker, mark." },
	{ .name = "since", .kind = OPT_TEXT, .arg = "TIME", .offset = ROW(since),
	  .help = "From this time on: seconds from the recording's beginning, or with a minus before its end." },
	{ .name = "until", .kind = OPT_TEXT, .arg = "TIME", .offset = ROW(until), .help = "Up to this time." },
	{ .name = "limit", .kind = OPT_U32, .arg = "N", .offset = ROW(limit),
	  .help = "Differences that are shown; all are counted. 0: all. Default 50." },
	{ .name = "follow", .letter = 'f', .kind = OPT_FLAG, .offset = ROW(follow),
	  .help = "Go on with what comes, until the bridge ends." },
	{ .name = "heat", .kind = OPT_FLAG, .offset = ROW(heat),
	  .help = "Show how often each page was touched in place of the events." },
	{ .name = "glyphs", .kind = OPT_ENUM, .arg = "SET", .offset = ROW(glyphs), .choices = glyph_names,
	  .help = "The signs of --heat. Default: blocks where the locale is UTF-8, else ascii." },
	{ .name = "driver", .kind = OPT_TEXT, .arg = "NAME", .offset = ROW(driver),
	  .help = "What attach gives the device to, in place of vfio-pci, such as berth_vfio; what that maps is said by --mode." },
	{ .name = "dry-run", .kind = OPT_FLAG, .offset = ROW(dry_run),
	  .help = "Show each step, what it would change and how it would be taken back, and do nothing." },
	{ .name = "force", .kind = OPT_FLAG, .offset = ROW(force),
	  .help = "Go on although somebody uses the device, or it has the only display; what that breaks is said." },
	{ .name = "any", .kind = OPT_FLAG, .offset = ROW(any),
	  .help = "Also devices that are neither GPU nor accelerator." },
	{ .name = "json", .kind = OPT_FLAG, .offset = ROW(json), .help = "Answer with one JSON object on stdout." },
	{ .name = "quiet", .letter = 'q', .kind = OPT_COUNT, .offset = ROW(quiet), .help = "No notes on stderr." },
	{ .name = "verbose", .letter = 'v', .kind = OPT_COUNT, .offset = ROW(verbose), 
	  .help = "More notes on stderr, among them each access that the policy logs." },
};

/* What every verb heeds. */
static const char *const all_heed[] = { "quiet", "verbose", NULL };

static const struct example examples[] = {
	{ "berth bridge list", "which devices a virtual machine could get, and what stands in the way" },
	{ "berth bridge list 03:00.0 --memory 16G", "whether that one could, with so much memory" },
	{ "berth bridge attach 03:00.0", "take the card from its driver, with all its functions" },
	{ "berth bridge qemu-args 03:00.0 --memory 16G --socket /run/user/1000/gpu.sock",
	  "what to add to QEMU's command line" },
	{ "berth bridge serve 03:00.0 --socket /run/user/1000/gpu.sock", "the card, for the virtual machine that connects there" },
	{ "berth bridge serve 03:00.0 --socket /run/gpu.sock 03:00.1 --socket /run/audio.sock", "both functions of a card: an IOMMU group is "
	  "one program's, and one virtual machine's" },
	{ "berth bridge serve 03:00.0 --socket /run/gpu.sock 03:00.1 --socket /run/audio.sock --policy 03:00.0=gpu.rules --record 03:00.1=audio.trace",
	  "rules for one of them, and a recording of the other" },
	{ "berth bridge serve edu.json --socket /run/user/1000/edu.sock", "a device that a file describes, for a virtual machine" },
	{ "berth bridge status", "which bridges run, who is connected, what went over them" },
	{ "berth bridge trace /run/user/1000/edu.sock --follow", "each access, while it happens" },
	{ "berth bridge trace boot.trace --only bar0 --heat", "which pages of its registers a driver uses" },
	{ "berth bridge diff good.trace bad.trace --except bar0:0x9400+8", "where one boot went another way, but for a clock" },
	{ "berth bridge detach 03:00.0", "give it back to the driver that it had" },
	{ NULL, NULL },
};

static bool verb_at(size_t i, struct cmd_verb *v)
{
	const struct verb *r = &bridge_verbs[i];

	*v = (struct cmd_verb) { .name = r->name, .operands = r->operands, .summary = r->summary,
				 .min_words = r->min_words, .max_words = r->max_words,
				 .heeds = { all_heed, r->heeds } };
	return r->name;
}

const struct cmd bridge_command = {
	.name = "bridge",
	.summary = "give a GPU to a virtual machine",
	.operands = "VERB [DEV]",
	.verb_at = verb_at,
	.description =
		"Gives a device to a virtual machine over vfio-user, the protocol of QEMU 10.1 and later. The list judges "
		"what that needs, check by check: the IOMMU and its group, who has the device now, remapped interrupts, memory "
		"that may be locked, permissions, how it is reset, whether it may lose its power. A check says yes, note (it "
		"works, and this is what else it means), untold, attach, force (attach does it with --force), or no.\n\n"
		"What is served is a device that attach has handed over, by the kernel's VFIO, or one that a file describes. Every access of the guest comes by, keeps its width, is "
		"counted and held to --policy, a rule a line: bar0 0x1000-0x1fff deny; deny 0 has reads give 0 in place of all-ones, "
		"mask 0xffff lets only these bits of a write pass, log tells each access with -v, map has the guest reach whole pages without us, trap is what everything else is. SIGHUP reads the "
		"rules anew; what is mapped stays until the guest has let go of the device.\n\n"
		"One mapped page costs the posting of all writes in QEMU, and makes memory in a BAR some hundred times faster: --mode. A device "
		"that is lost reads all-ones; --qmp or --libvirt has its virtual machine unplug it. What comes back is another generation, "
		"for who connects anew.",
	.opts = opts,
	.n_opts = N_OF(opts),
	.exits = "0  done, or a list was shown\n1  the named device or file is absent; diff: the boots differ\n"
		 "2  wrong usage\n4  a bad value\n"
		 "5  no permission, in use, or it cannot be bridged: nothing was changed\n"
		 "6  the device vanished, or is not what it was; with --once: it was lost under its client",
	.examples = examples,
	.see_also = "berth-device(1), berth-probe(1), berth-doctor(1)",
};
/* clang-format on */

const struct options bridge_defaults = { .record_size = 64 << 20, .limit = 50 };
