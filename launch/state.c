/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/own.h"
#include "base/text.h"
#include "launch/state.h"

#define KEY_BYTES 24

/* Variables in the order they count, and what follows the value of each. */
static const struct {
	const char *variable, *below;
} places[] = {
	{ "BERTH_STATE_DIR", "" },
	{ "STATE_DIRECTORY", "" }, /* systemd.exec(5); berth's units name one folder */
	{ "XDG_STATE_HOME", "/berth" },
	{ "HOME", "/.local/state/berth" },
};

static int make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

int state_place(char *dir, size_t size, struct err *e)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const char *value = getenv(places[i].variable);

		/* Relative values are ignored, as XDG asks */
		if (!value || value[0] != '/')
			continue;
		if (snprintf(dir, size, "%s%s", value, places[i].below) >= (int)size)
			return err_set(e, -EACCES, "$%s is too long", places[i].variable);
		return 0;
	}
	return err_set(e, -EACCES, "neither HOME nor BERTH_STATE_DIR is set");
}

int state_dir(char *dir, size_t size, struct err *e)
{
	int rc = state_place(dir, size, e);

	if (rc)
		return rc;
	rc = make_folders(dir);
	if (rc)
		return err_set(e, -EACCES,
			       "cannot make the folder %s: %s; set BERTH_STATE_DIR to one you can "
			       "write",
			       dir, strerror(-rc));
	return 0;
}

static int check_key(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_set(e, -EACCES, "the key %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0)
		return err_set(e, -EACCES, "%s holds no key; remove it to have one made", path);
	if (st.st_mode & 077)
		return err_set(e, -EACCES, "others may read the key in %s; chmod 600 it", path);
	return 0;
}

int state_key(const char *path, struct err *e)
{
	unsigned char random[KEY_BYTES];
	char text[KEY_BYTES * 2 + 2];
	int rc;
	own_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return check_key(path, e);
	if (fd < 0)
		return err_set(e, -EACCES, "the key %s: %s", path, strerror(errno));
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_set(e, -EACCES, "no random bytes for a key: %s", strerror(errno));
	text_hex(text, random, sizeof(random));
	strcat(text, "\n");
	rc = io_write(fd, text, strlen(text));
	if (rc == 0)
		return 0;
	unlink(path); /* half a key would be taken for one */
	return err_set(e, -EACCES, "the key %s: %s", path, strerror(-rc));
}
