/* SPDX-License-Identifier: MIT */
/*
 * A terminal for tests: term COLSxROWS SCRIPT COMMAND... runs the command in a pseudo terminal that
 * libvterm draws, and does what the script says, a line each:
 *
 *   wait TEXT      until the screen shows TEXT
 *   gone TEXT      until it does not
 *   title TEXT     until the program has set the title (OSC 2) to TEXT: what it drew before is on the screen
 *   keys KEYS      type: characters as they are; \e \r \t \\ \xNN, and <Up> <Down> <Left> <Right> <PgUp>
 *                  <PgDn> <Home> <End> <F1> <BackTab> as this terminal sends them
 *   click COL ROW  press and release the first mouse button there (SGR, xterm), counted from 0
 *   size COLSxROWS resize
 *   signal N       to the program
 *   pause MS       only for programs that shall be seen doing nothing
 *   dump FILE      the screen as text
 *   look FILE      the same, then for each row what is bold, underlined, reversed or coloured
 *   cursor FILE    where it is: "COL ROW"
 *   bytes FILE     how many bytes came so far
 *   exit N         the program ends with this status
 *
 * Nothing is timed: a line that does not come true within three minutes fails, and shows the screen. Without "exit"
 * at the end the program is killed. The locale of the environment decides whether bytes are UTF-8.
 *
 * A picture comes in pieces, cut anywhere, and on a slow machine one sees them. Here one always does: the screen
 * takes byte after byte, and a line is over with the first byte that makes it true. What a script means to find
 * beside a text has to be drawn before it, or waited for too; "title" says that the whole picture is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <vterm.h>

#define PATIENCE_MS 180000
#define TEXT_MAX    (1 << 20)

struct term {
	VTerm *vt;
	VTermScreen *screen;
	int cols, rows;
	int fd; /* our end of the pseudo terminal */
	pid_t pid;
	bool ended;
	int status;
	char came[65536]; /* from the program, and the part of it that the screen has taken */
	size_t n_came, n_taken;
	bool changed; /* the screen, or the title, since somebody looked */
	uint64_t bytes;
	VTermPos cursor;
	/* The title, picked out of the bytes: libvterm's way to tell it changed between its versions. */
	char title[256], collecting[256];
	size_t n_collected;
	int osc; /* how much of ESC ] 2 ; has been seen; 4: inside */
	char line[1024];
};

static void screen_text(struct term *t, char *out);

static void die(struct term *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

static void die(struct term *t, const char *fmt, ...)
{
	char *text = malloc(TEXT_MAX);
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	screen_text(t, text);
	fprintf(stderr, " (line: %s; title '%s')\n%s", t->line, t->title, text);
	kill(t->pid, SIGKILL);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- what comes from the program --- */

static void collect_title(struct term *t, char c)
{
	static const char intro[] = "\033]2;";

	if (t->osc < 4) {
		t->osc = c == intro[t->osc] ? t->osc + 1 : c == intro[0];
		t->n_collected = 0;
	} else if (c == '\a' || c == '\033') {
		t->collecting[t->n_collected] = '\0';
		memcpy(t->title, t->collecting, t->n_collected + 1);
		t->changed = true;
		t->osc = 0;
	} else if (t->n_collected < sizeof(t->collecting) - 1) {
		t->collecting[t->n_collected++] = c;
	}
}

static void to_program(const char *bytes, size_t n, void *user)
{
	struct term *t = user;

	while (n) {
		ssize_t put = write(t->fd, bytes, n);

		if (put <= 0)
			return;
		bytes += put;
		n -= (size_t)put;
	}
}

static int on_cursor(VTermPos pos, VTermPos old, int visible, void *user)
{
	(void)old;
	(void)visible;
	((struct term *)user)->cursor = pos;
	return 1;
}

static int on_damage(VTermRect rect, void *user)
{
	(void)rect;
	((struct term *)user)->changed = true;
	return 1;
}

static const VTermScreenCallbacks callbacks = { .damage = on_damage, .movecursor = on_cursor };

/* Wait for what comes, at most so long. */
static void receive(struct term *t, int ms)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	ssize_t n;

	if (t->ended || poll(&p, 1, ms) <= 0)
		return;
	n = read(t->fd, t->came, sizeof(t->came));
	if (n <= 0) { /* EIO: the program has gone */
		waitpid(t->pid, &t->status, 0);
		t->ended = true;
		return;
	}
	t->n_came = (size_t)n;
	t->n_taken = 0;
	t->bytes += (uint64_t)n;
}

/* The screen takes the next byte; with none there, it is waited for at most so long. */
static void take(struct term *t, int ms)
{
	if (t->n_taken == t->n_came)
		receive(t, ms);
	if (t->n_taken == t->n_came)
		return;
	vterm_input_write(t->vt, &t->came[t->n_taken], 1);
	collect_title(t, t->came[t->n_taken++]);
}

static char *put_utf8(char *to, uint32_t ch)
{
	if (ch < 0x80) {
		*to++ = (char)ch;
	} else if (ch < 0x800) {
		*to++ = (char)(0xc0 | ch >> 6);
		*to++ = (char)(0x80 | (ch & 0x3f));
	} else if (ch < 0x10000) {
		*to++ = (char)(0xe0 | ch >> 12);
		*to++ = (char)(0x80 | (ch >> 6 & 0x3f));
		*to++ = (char)(0x80 | (ch & 0x3f));
	} else {
		*to++ = (char)(0xf0 | ch >> 18);
		*to++ = (char)(0x80 | (ch >> 12 & 0x3f));
		*to++ = (char)(0x80 | (ch >> 6 & 0x3f));
		*to++ = (char)(0x80 | (ch & 0x3f));
	}
	return to;
}

static VTermScreenCell cell_at(struct term *t, int row, int col)
{
	VTermScreenCell cell;

	memset(&cell, 0, sizeof(cell));
	vterm_screen_get_cell(t->screen, (VTermPos) { .row = row, .col = col }, &cell);
	return cell;
}

static void screen_text(struct term *t, char *out)
{
	for (int row = 0; row < t->rows; row++) {
		char *end = out;

		for (int col = 0; col < t->cols;) {
			VTermScreenCell c = cell_at(t, row, col);

			out = put_utf8(out, c.chars[0] ? c.chars[0] : ' ');
			if (c.chars[0] && c.chars[0] != ' ')
				end = out;
			col += c.width > 1 ? c.width : 1;
		}
		out = end;
		*out++ = '\n';
	}
	*out = '\0';
}

static void add_colour(char *to, size_t size, const char *what, const VTermColor *c, bool usual)
{
	size_t n = strlen(to);

	if (usual)
		return;
	if (VTERM_COLOR_IS_INDEXED(c))
		snprintf(to + n, size - n, " %s%d", what, c->indexed.idx);
	else
		snprintf(to + n, size - n, " %s#%02x%02x%02x", what, c->rgb.red, c->rgb.green,
			 c->rgb.blue);
}

/* How a cell looks, in words; empty: as usual. */
static void look_of(const VTermScreenCell *c, char *to, size_t size)
{
	snprintf(to, size, "%s%s%s", c->attrs.bold ? " bold" : "",
		 c->attrs.underline ? " underlined" : "", c->attrs.reverse ? " reversed" : "");
	add_colour(to, size, "fg", &c->fg, VTERM_COLOR_IS_DEFAULT_FG(&c->fg));
	add_colour(to, size, "bg", &c->bg, VTERM_COLOR_IS_DEFAULT_BG(&c->bg));
}

static void write_looks(struct term *t, FILE *f)
{
	for (int row = 0; row < t->rows; row++) {
		bool any = false;

		for (int col = 0; col < t->cols;) {
			char look[64], next[64];
			int from = col;
			VTermScreenCell c = cell_at(t, row, col);

			look_of(&c, look, sizeof(look));
			do {
				c = cell_at(t, row, ++col);
				look_of(&c, next, sizeof(next));
			} while (col < t->cols && !strcmp(look, next));
			if (!look[0])
				continue;
			if (any)
				fprintf(f, ", %d-%d%s", from, col - 1, look);
			else
				fprintf(f, "~%d: %d-%d%s", row, from, col - 1, look);
			any = true;
		}
		if (any)
			fputc('\n', f);
	}
}

/* --- the script --- */

static bool shows(struct term *t, const char *text)
{
	char *all = malloc(TEXT_MAX);
	bool found;

	screen_text(t, all);
	found = strstr(all, text) != NULL;
	free(all);
	return found;
}

enum until { SHOWN, GONE, TITLED, ENDED };

static bool holds(struct term *t, enum until u, const char *text)
{
	switch (u) {
	case SHOWN:
		return shows(t, text);
	case GONE:
		return !shows(t, text);
	case TITLED:
		return !strcmp(t->title, text);
	case ENDED:
		break;
	}
	return t->ended;
}

static void until(struct term *t, enum until u, const char *text)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	for (bool look = true;; look = t->changed || t->ended) {
		t->changed = false;
		if (look && holds(t, u, text))
			return;
		if (t->ended)
			die(t, "the program ended with %d before '%s'", t->status, text);
		if (now_ms() >= end)
			die(t, "no '%s' within %d s", text, PATIENCE_MS / 1000);
		take(t, 50);
	}
}

static void type(struct term *t, const char *keys)
{
	static const struct {
		const char *name, *bytes;
	} names[] = {
		{ "<Up>", "\033OA" },      { "<Down>", "\033OB" },  { "<Right>", "\033OC" },
		{ "<Left>", "\033OD" },    { "<Home>", "\033OH" },  { "<End>", "\033OF" },
		{ "<PgUp>", "\033[5~" },   { "<PgDn>", "\033[6~" }, { "<F1>", "\033OP" },
		{ "<BackTab>", "\033[Z" },
	};
	static const char plain[] = "e\033r\rt\t\\\\";

	while (*keys) {
		size_t i = 0;

		while (i < sizeof(names) / sizeof(names[0]) &&
		       strncmp(keys, names[i].name, strlen(names[i].name)) != 0)
			i++;
		if (i < sizeof(names) / sizeof(names[0])) {
			to_program(names[i].bytes, strlen(names[i].bytes), t);
			keys += strlen(names[i].name);
		} else if (keys[0] == '\\' && keys[1] == 'x') {
			char hex[3] = { keys[2], keys[3], 0 };
			char byte = (char)strtoul(hex, NULL, 16);

			to_program(&byte, 1, t);
			keys += 4;
		} else if (keys[0] == '\\' && keys[1]) {
			const char *p = plain;

			while (*p && *p != keys[1])
				p += 2;
			to_program(*p ? p + 1 : keys + 1, 1, t);
			keys += 2;
		} else {
			to_program(keys++, 1, t);
		}
	}
}

static void click(struct term *t, int col, int row)
{
	char bytes[64];
	int n = snprintf(bytes, sizeof(bytes), "\033[<0;%d;%dM\033[<0;%d;%dm", col + 1, row + 1,
			 col + 1, row + 1);

	to_program(bytes, (size_t)n, t);
}

static void resize(struct term *t, const char *size)
{
	struct winsize w = { 0 };

	if (sscanf(size, "%dx%d", &t->cols, &t->rows) != 2)
		die(t, "'%s' is no size", size);
	w.ws_col = (unsigned short)t->cols;
	w.ws_row = (unsigned short)t->rows;
	vterm_set_size(t->vt, t->rows, t->cols);
	ioctl(t->fd, TIOCSWINSZ, &w);
}

static void save(struct term *t, const char *path, bool looks)
{
	char *text = malloc(TEXT_MAX);
	FILE *f = fopen(path, "w");

	if (!f)
		die(t, "cannot write %s", path);
	screen_text(t, text);
	fputs(text, f);
	if (looks)
		write_looks(t, f);
	fclose(f);
	free(text);
}

static void save_line(struct term *t, const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die(t, "cannot write %s", path);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void pause_ms(struct term *t, uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end && !t->ended)
		take(t, (int)(end - now_ms()));
}

static void expect_exit(struct term *t, int status)
{
	until(t, ENDED, "the end");
	if (!WIFEXITED(t->status) || WEXITSTATUS(t->status) != status)
		die(t, "ended with %#x, not %d", t->status, status);
}

static void obey(struct term *t, const char *verb, const char *arg)
{
	char buf[64];
	int a, b;

	if (!strcmp(verb, "wait"))
		until(t, SHOWN, arg);
	else if (!strcmp(verb, "gone"))
		until(t, GONE, arg);
	else if (!strcmp(verb, "title"))
		until(t, TITLED, arg);
	else if (!strcmp(verb, "keys"))
		type(t, arg);
	else if (!strcmp(verb, "click") && sscanf(arg, "%d %d", &a, &b) == 2)
		click(t, a, b);
	else if (!strcmp(verb, "size"))
		resize(t, arg);
	else if (!strcmp(verb, "signal"))
		kill(t->pid, atoi(arg));
	else if (!strcmp(verb, "pause"))
		pause_ms(t, strtoull(arg, NULL, 10));
	else if (!strcmp(verb, "dump") || !strcmp(verb, "look"))
		save(t, arg, verb[0] == 'l');
	else if (!strcmp(verb, "exit"))
		expect_exit(t, atoi(arg));
	else if (!strcmp(verb, "cursor")) {
		snprintf(buf, sizeof(buf), "%d %d", t->cursor.col, t->cursor.row);
		save_line(t, arg, buf);
	} else if (!strcmp(verb, "bytes")) {
		snprintf(buf, sizeof(buf), "%llu", (unsigned long long)t->bytes);
		save_line(t, arg, buf);
	} else
		die(t, "'%s' is no command of a script", verb);
}

static void run_script(struct term *t, const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		die(t, "cannot read %s", path);
	while (fgets(t->line, sizeof(t->line), f)) {
		char *arg;

		t->line[strcspn(t->line, "\n")] = '\0';
		if (!t->line[0] || t->line[0] == '#')
			continue;
		char copy[sizeof(t->line)];

		memcpy(copy, t->line, sizeof(copy));
		arg = strchr(copy, ' ');
		if (arg)
			*arg++ = '\0';
		obey(t, copy, arg ? arg : "");
	}
	fclose(f);
}

/* --- setting up --- */

static void start(struct term *t, char **argv)
{
	struct winsize w = { .ws_col = (unsigned short)t->cols, .ws_row = (unsigned short)t->rows };
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char name[128];

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, sizeof(name))) {
		perror("pseudo terminal");
		exit(77);
	}
	ioctl(fd, TIOCSWINSZ, &w);
	t->fd = fd;
	t->pid = fork();
	if (t->pid == 0) {
		int tty;

		setsid();
		tty = open(name, O_RDWR);
		ioctl(tty, TIOCSCTTY, 0);
		dup2(tty, 0);
		dup2(tty, 1);
		dup2(tty, 2);
		if (tty > 2)
			close(tty);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
}

int main(int argc, char **argv)
{
	struct term t = { 0 };

	setlocale(LC_CTYPE, "");
	if (argc < 4 || sscanf(argv[1], "%dx%d", &t.cols, &t.rows) != 2) {
		fprintf(stderr, "usage: term COLSxROWS SCRIPT COMMAND...\n");
		return 2;
	}
	t.vt = vterm_new(t.rows, t.cols);
	vterm_set_utf8(t.vt, !strcmp(nl_langinfo(CODESET), "UTF-8"));
	vterm_output_set_callback(t.vt, to_program, &t);
	t.screen = vterm_obtain_screen(t.vt);
	vterm_screen_set_callbacks(t.screen, &callbacks, &t);
	vterm_screen_enable_altscreen(t.screen, 1);
	vterm_screen_reset(t.screen, 1);
	start(&t, argv + 3);
	run_script(&t, argv[2]);
	if (!t.ended) {
		kill(t.pid, SIGKILL);
		waitpid(t.pid, NULL, 0);
	}
	vterm_free(t.vt);
	close(t.fd);
	return 0;
}
