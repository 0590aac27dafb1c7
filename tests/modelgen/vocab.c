/* SPDX-License-Identifier: MIT */
/*
 * A small vocabulary of the SentencePiece kind. Its tokenizer joins neighbours only where the joined
 * piece exists, so a word is reachable only when all its beginnings are pieces too: words come with
 * their beginnings, and nothing else joins. What is left over is filled with invented words.
 */
#include <stdio.h>
#include <string.h>

#include "tests/modelgen/modelgen_priv.h"

#define MARK "\xe2\x96\x81" /* U+2581 stands for the space before a word */

/* Common English words and the words of this project; the first ones survive in the smallest file. */
static const char *const words[] = {
	"Hello",   "world",  "the",     "there", "this",   "that",    "then",       "and",
	"any",     "a",      "to",      "of",    "on",     "one",     "only",       "is",
	"it",      "in",     "into",    "ship",  "shore",  "she",     "sea",        "see",
	"safe",    "sail",   "harbour", "has",   "he",     "here",    "her",        "was",
	"water",   "wave",   "wind",    "with",  "we",     "will",    "berth",      "be",
	"by",      "boat",   "bay",     "blue",  "for",    "from",    "fog",        "free",
	"you",     "not",    "now",     "night", "north",  "memory",  "model",      "moon",
	"more",    "light",  "layer",   "long",  "land",   "token",   "tide",       "time",
	"quay",    "quiet",  "dock",    "deep",  "crane",  "cargo",   "anchor",     "as",
	"at",      "are",    "all",     "rope",  "river",  "rain",    "under",      "up",
	"over",    "open",   "port",    "pier",  "pilot",  "what",    "when",       "where",
	"which",   "who",    "why",     "how",   "if",     "or",      "but",        "so",
	"some",    "star",   "storm",   "small", "south",  "east",    "west",       "warm",
	"cold",    "calm",   "captain", "coast", "island", "lantern", "lighthouse", "morning",
	"evening", "people", "story",   "write", "once",   "upon",    "little",     "great",
	"good",    "day",    "home",    "hand",  "heart",  "word",    "work",       "year",
	"young",   "old",    "new",     "gull",  "green",  "grey",    "golden",     "machine",
	"measure", "proof",  "power",   "place", "placed", "plan",    "fit",        "fits",
};

/* "." and "," are words to us: text reads better with them. */
static const char stops[] = ".,";

static void put(struct piece *p, enum piece_kind kind, int32_t type, float score, const char *text)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->text, sizeof(p->text), "%s", text);
	p->kind = kind;
	p->type = type;
	p->score = score;
}

static struct piece *find(struct piece *pieces, uint32_t n, const char *text)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(pieces[i].text, text))
			return &pieces[i];
	return NULL;
}

static uint32_t put_fixed(struct piece *p)
{
	uint32_t n = 0;
	char text[PIECE_MAX];

	put(&p[n++], PIECE_CONTROL, 2, 0, "<unk>");
	put(&p[n++], PIECE_CONTROL, 3, 0, "<s>");
	put(&p[n++], PIECE_CONTROL, 3, 0, "</s>");
	for (int b = 0; b < 256; b++) {
		snprintf(text, sizeof(text), "<0x%02X>", (unsigned)b);
		put(&p[n++], PIECE_BYTE, 6, 0, text);
	}
	put(&p[n++], PIECE_CHAR, 1, -1000, MARK);
	for (char c = '!'; c <= '~'; c++) {
		snprintf(text, sizeof(text), "%c", c);
		put(&p[n++], strchr(stops, c) ? PIECE_WORD : PIECE_CHAR, 1, -1000, text);
	}
	return n;
}

/* Add a word with its missing beginnings, or nothing when not all of them fit. */
static uint32_t put_word(struct piece *p, uint32_t n, uint32_t max, const char *word)
{
	char text[PIECE_MAX];
	uint32_t start = n;
	size_t len = strlen(word);

	for (size_t cut = 1; cut <= len; cut++) {
		struct piece *old;

		snprintf(text, sizeof(text), MARK "%.*s", (int)cut, word);
		old = find(p, n, text);
		if (old && cut == len)
			old->kind = PIECE_WORD;
		if (old)
			continue;
		if (n == max)
			return start;
		put(&p[n], cut == len ? PIECE_WORD : PIECE_PART, 1, -(float)n / 16, text);
		n++;
	}
	return n;
}

/* Invented word number i: three syllables, each a consonant and a vowel, so all are different. */
static void invent(char *text, size_t size, uint32_t i)
{
	static const char consonants[] = "bdfgklmnprstvz";
	static const char vowels[] = "aeiou";
	char word[7] = { 0 };

	for (int s = 0; s < 6; s += 2) {
		word[s] = consonants[i % 14];
		i /= 14;
		word[s + 1] = vowels[i % 5];
		i /= 5;
	}
	snprintf(text, size, MARK "%s", word);
}

void vocab_fill(struct piece *pieces, uint32_t n)
{
	uint32_t used = put_fixed(pieces);
	uint32_t known;
	char text[PIECE_MAX];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		used = put_word(pieces, used, n, words[i]);
	known = used;
	for (uint32_t i = 0; used < n; i++) {
		invent(text, sizeof(text), i * 7919 % 343000); /* a prime: mixes the syllables */
		if (find(pieces, known, text))
			continue;
		put(&pieces[used], PIECE_INVENTED, 1, -(float)used / 16, text);
		used++;
	}
}
