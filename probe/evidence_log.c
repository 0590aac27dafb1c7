/* SPDX-License-Identifier: MIT */
/* The kernel log as evidence: where it is read, and which of its lines are kept. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "probe/evidence.h"

/* clang-format off */
/* Words of kernel-log lines that may matter to a GPU, besides those that checks name. */
static const char *const log_words[] = {
	"pci ", "pci_bus", "pcieport", "pciehp", "PCI:", "AER:", "DPC:", "thunderbolt", "DMAR", "AMD-Vi",
	"iommu", "NVRM", "nvidia", "amdgpu", "kfd", "i915 ", "xe ", "nouveau", "nova", "vfio", "drm",
	"PM: suspend", "PM: hibernat", "Secure boot", "secureboot", "module verification failed",
	"Loading of module", "Lockdown:", "USB disconnect", "bridge window", "snd_hda_intel",
	"kill the guest", "boltd", "BAR ", "EKEYREJECTED", "not signed",
	NULL
};
/* clang-format on */

/* Kernel-log lines that hold a word above, but tell who the owner is or what he plugs in. */
static const char *const log_never[] = { "SerialNumber", "ommand line", "hostname", NULL };

bool has_any_word(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strstr(text, *words))
			return true;
	return false;
}

bool evidence_log_wanted(const char *text)
{
	return (has_any_word(text, log_words) || checks_name_line(text)) &&
	       !has_any_word(text, log_never);
}

#define LOG_ANSWER "answers/kmsg.txt"

/* A read of /dev/kmsg gives one record; -EPIPE says that some were overwritten, and goes on. */
static long read_records(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n + 8192 < size) {
		ssize_t got = read(fd, buf + n, size - n);

		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0)
			return got < 0 && !n ? -errno : (long)n;
		n += (size_t)got;
	}
	return (long)n;
}

static long read_log(const struct source *s, const char *file, char *buf, size_t size,
		     const char **source)
{
	if (file) {
		own_fd int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		*source = file;
		return fd < 0 ? -errno : io_read(fd, buf, size);
	}
	if (s->m->live) {
		own_fd int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

		*source = "/dev/kmsg";
		return fd < 0 ? -errno : read_records(fd, buf, size);
	}
	*source = LOG_ANSWER;
	return machine_read_bytes(s->m, LOG_ANSWER, buf, size);
}

int evidence_take_log(const struct source *s, const char *file, struct evidence *ev, struct err *e)
{
	own_free char *buf = malloc(KMSG_BYTES_MAX);
	const char *source = "";
	long n = buf ? read_log(s, file, buf, KMSG_BYTES_MAX, &source) : -ENOMEM;

	if (n < 0 && file)
		return err_set(e, (int)n, "cannot read the kernel log %.200s: %s", file,
			       strerror((int)-n));
	text_copy(ev->log.source, sizeof(ev->log.source), source);
	if (n < 0) {
		ev->log.why = why_of((int)n);
		return 0;
	}
	int rc = kmsg_parse(&ev->log, buf, (size_t)n, evidence_log_wanted);

	if (rc)
		return err_set(e, rc, "out of memory");
	if (s->rec) {
		own_free char *text = kmsg_text(&ev->log);

		if (text)
			record_file(s->rec, LOG_ANSWER, text_trim(text));
	}
	return 0;
}

bool evidence_card_fails(const struct machine *m, const char *log)
{
	static const char *const words[] = { "NVRM: Xid", "fallen off the bus",
					     "RmInitAdapter failed", NULL };
	const struct source s = { .m = m };
	own_free char *buf = m->live ? malloc(KMSG_BYTES_MAX) : NULL;
	const char *source;
	long n = buf ? read_log(&s, log, buf, KMSG_BYTES_MAX - 1, &source) : -1;

	if (n < 0)
		return false;
	buf[n] = '\0';
	return has_any_word(buf, words);
}
