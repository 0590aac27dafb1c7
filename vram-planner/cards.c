/* SPDX-License-Identifier: MIT */
/*
 * The table of cards. Memory bandwidth is bus width times data rate, as the vendor rounds it; backends
 * are those of the engine builds that berth fetches (no ROCm or SYCL: a user who has one says so).
 * TFLOPS: dense 16-bit products summed in 32 bits by matrix units where there are some (GeForce cards at
 * half of what the workstation ones do), else the shaders' 16- or 32-bit rate; 0: not known.
 * No crowd-sourced figure is in here.
 */
#include "vram-planner/cards.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define NV_PAGE   "NVIDIA, specifications page of the card"
#define NV_SHEET  "NVIDIA, data sheet of the card"
#define AMD_PAGE  "AMD, specifications page of the card"
#define AMD_SHEET "AMD, data sheet of the accelerator"
#define INTEL_ARK "Intel, ark.intel.com"
#define APU       "the processor's memory bus: width x rate of the fastest memory its vendor allows"

/* clang-format off */
/* name, GiB, GB/s, TFLOPS, PCIe generation and lanes, watts, backend, source */
static const struct card cards[] = {
	/* NVIDIA Pascal */
	{ "GTX 1050 Ti",                          4,   112,    2, 3, 16,   75, "cuda",   NV_PAGE },
	{ "GTX 1060 3GB",                         3,   192,    4, 3, 16,  120, "cuda",   NV_PAGE },
	{ "GTX 1060 6GB",                         6,   192,    4, 3, 16,  120, "cuda",   NV_PAGE },
	{ "GTX 1070",                             8,   256,    6, 3, 16,  150, "cuda",   NV_PAGE },
	{ "GTX 1070 Ti",                          8,   256,    8, 3, 16,  180, "cuda",   NV_PAGE },
	{ "GTX 1080",                             8,   320,    9, 3, 16,  180, "cuda",   NV_PAGE },
	{ "GTX 1080 Ti",                         11,   484,   11, 3, 16,  250, "cuda",   NV_PAGE },
	{ "Titan X Pascal",                      12,   480,   11, 3, 16,  250, "cuda",   NV_PAGE },
	{ "Titan Xp",                            12,   547,   12, 3, 16,  250, "cuda",   NV_PAGE },
	{ "Tesla P4",                             8,   192,    6, 3, 16,   75, "cuda",   NV_SHEET },
	{ "Tesla P40",                           24,   346,   12, 3, 16,  250, "cuda",   NV_SHEET },
	{ "Tesla P100 12GB",                     12,   549,   19, 3, 16,  250, "cuda",   NV_SHEET },
	{ "Tesla P100 16GB",                     16,   732,   19, 3, 16,  250, "cuda",   NV_SHEET },
	{ "Quadro P4000",                         8,   243,    5, 3, 16,  105, "cuda",   NV_SHEET },
	{ "Quadro P5000",                        16,   288,    9, 3, 16,  180, "cuda",   NV_SHEET },
	{ "Quadro P6000",                        24,   432,   13, 3, 16,  250, "cuda",   NV_SHEET },

	/* NVIDIA Volta */
	{ "Tesla V100 16GB",                     16,   900,  112, 3, 16,  250, "cuda",   NV_SHEET },
	{ "Tesla V100 32GB",                     32,   900,  112, 3, 16,  250, "cuda",   NV_SHEET },
	{ "Titan V",                             12,   652,  110, 3, 16,  250, "cuda",   NV_SHEET },

	/* NVIDIA Turing */
	{ "GTX 1650",                             4,   128,    6, 3, 16,   75, "cuda",   NV_PAGE },
	{ "GTX 1660",                             6,   192,   10, 3, 16,  120, "cuda",   NV_PAGE },
	{ "GTX 1660 Super",                       6,   336,   10, 3, 16,  125, "cuda",   NV_PAGE },
	{ "GTX 1660 Ti",                          6,   288,   11, 3, 16,  120, "cuda",   NV_PAGE },
	{ "RTX 2060 6GB",                         6,   336,   26, 3, 16,  160, "cuda",   NV_PAGE },
	{ "RTX 2060 12GB",                       12,   336,   29, 3, 16,  184, "cuda",   NV_PAGE },
	{ "RTX 2060 Super",                       8,   448,   29, 3, 16,  175, "cuda",   NV_PAGE },
	{ "RTX 2070",                             8,   448,   30, 3, 16,  175, "cuda",   NV_PAGE },
	{ "RTX 2070 Super",                       8,   448,   36, 3, 16,  215, "cuda",   NV_PAGE },
	{ "RTX 2080",                             8,   448,   40, 3, 16,  215, "cuda",   NV_PAGE },
	{ "RTX 2080 Super",                       8,   496,   45, 3, 16,  250, "cuda",   NV_PAGE },
	{ "RTX 2080 Ti",                         11,   616,   54, 3, 16,  250, "cuda",   NV_PAGE },
	{ "Titan RTX",                           24,   672,  130, 3, 16,  280, "cuda",   NV_PAGE },
	{ "Tesla T4",                            16,   320,   65, 3, 16,   70, "cuda",   NV_SHEET },
	{ "Quadro RTX 4000",                      8,   416,   57, 3, 16,  160, "cuda",   NV_SHEET },
	{ "Quadro RTX 5000",                     16,   448,   89, 3, 16,  265, "cuda",   NV_SHEET },
	{ "Quadro RTX 6000",                     24,   672,  130, 3, 16,  295, "cuda",   NV_SHEET },
	{ "Quadro RTX 8000",                     48,   672,  130, 3, 16,  295, "cuda",   NV_SHEET },

	/* NVIDIA Ampere */
	{ "RTX 3050 6GB",                         6,   168,   14, 4,  8,   70, "cuda",   NV_PAGE },
	{ "RTX 3050 8GB",                         8,   224,   18, 4,  8,  130, "cuda",   NV_PAGE },
	{ "RTX 3060 8GB",                         8,   240,   25, 4, 16,  170, "cuda",   NV_PAGE },
	{ "RTX 3060 12GB",                       12,   360,   25, 4, 16,  170, "cuda",   NV_PAGE },
	{ "RTX 3060 Ti",                          8,   448,   32, 4, 16,  200, "cuda",   NV_PAGE },
	{ "RTX 3070",                             8,   448,   41, 4, 16,  220, "cuda",   NV_PAGE },
	{ "RTX 3070 Ti",                          8,   608,   43, 4, 16,  290, "cuda",   NV_PAGE },
	{ "RTX 3080 10GB",                       10,   760,   60, 4, 16,  320, "cuda",   NV_PAGE },
	{ "RTX 3080 12GB",                       12,   912,   61, 4, 16,  350, "cuda",   NV_PAGE },
	{ "RTX 3080 Ti",                         12,   912,   68, 4, 16,  350, "cuda",   NV_PAGE },
	{ "RTX 3090",                            24,   936,   71, 4, 16,  350, "cuda",   NV_PAGE },
	{ "RTX 3090 Ti",                         24,  1008,   80, 4, 16,  450, "cuda",   NV_PAGE },
	{ "RTX 3060 Laptop",                      6,   336,   22, 4, 16,  115, "cuda",   NV_PAGE },
	{ "RTX 3070 Laptop",                      8,   448,   32, 4, 16,  125, "cuda",   NV_PAGE },
	{ "RTX 3080 Laptop 8GB",                  8,   448,   38, 4, 16,  150, "cuda",   NV_PAGE },
	{ "RTX 3080 Laptop 16GB",                16,   448,   38, 4, 16,  150, "cuda",   NV_PAGE },
	{ "A2",                                  16,   200,   18, 4,  8,   60, "cuda",   NV_SHEET },
	{ "A10",                                 24,   600,  125, 4, 16,  150, "cuda",   NV_SHEET },
	{ "A30",                                 24,   933,  165, 4, 16,  165, "cuda",   NV_SHEET },
	{ "A40",                                 48,   696,  150, 4, 16,  300, "cuda",   NV_SHEET },
	{ "A100 PCIe 40GB",                      40,  1555,  312, 4, 16,  250, "cuda",   NV_SHEET },
	{ "A100 SXM 40GB",                       40,  1555,  312, 4, 16,  400, "cuda",   NV_SHEET },
	{ "A100 PCIe 80GB",                      80,  1935,  312, 4, 16,  300, "cuda",   NV_SHEET },
	{ "A100 SXM 80GB",                       80,  2039,  312, 4, 16,  400, "cuda",   NV_SHEET },
	{ "RTX A2000 6GB",                        6,   288,   32, 4, 16,   70, "cuda",   NV_SHEET },
	{ "RTX A2000 12GB",                      12,   288,   32, 4, 16,   70, "cuda",   NV_SHEET },
	{ "RTX A4000",                           16,   448,   77, 4, 16,  140, "cuda",   NV_SHEET },
	{ "RTX A4500",                           20,   640,   95, 4, 16,  200, "cuda",   NV_SHEET },
	{ "RTX A5000",                           24,   768,  111, 4, 16,  230, "cuda",   NV_SHEET },
	{ "RTX A5500",                           24,   768,  136, 4, 16,  230, "cuda",   NV_SHEET },
	{ "RTX A6000",                           48,   768,  155, 4, 16,  300, "cuda",   NV_SHEET },

	/* NVIDIA Ada */
	{ "RTX 4060",                             8,   272,   30, 4,  8,  115, "cuda",   NV_PAGE },
	{ "RTX 4060 Ti 8GB",                      8,   288,   44, 4,  8,  160, "cuda",   NV_PAGE },
	{ "RTX 4060 Ti 16GB",                    16,   288,   44, 4,  8,  165, "cuda",   NV_PAGE },
	{ "RTX 4070",                            12,   504,   58, 4, 16,  200, "cuda",   NV_PAGE },
	{ "RTX 4070 Super",                      12,   504,   71, 4, 16,  220, "cuda",   NV_PAGE },
	{ "RTX 4070 Ti",                         12,   504,   80, 4, 16,  285, "cuda",   NV_PAGE },
	{ "RTX 4070 Ti Super",                   16,   672,   88, 4, 16,  285, "cuda",   NV_PAGE },
	{ "RTX 4080",                            16,   716,   97, 4, 16,  320, "cuda",   NV_PAGE },
	{ "RTX 4080 Super",                      16,   736,  104, 4, 16,  320, "cuda",   NV_PAGE },
	{ "RTX 4090",                            24,  1008,  165, 4, 16,  450, "cuda",   NV_PAGE },
	{ "RTX 4060 Laptop",                      8,   256,   23, 4,  8,  115, "cuda",   NV_PAGE },
	{ "RTX 4070 Laptop",                      8,   256,   31, 4,  8,  115, "cuda",   NV_PAGE },
	{ "RTX 4080 Laptop",                     12,   432,   49, 4, 16,  150, "cuda",   NV_PAGE },
	{ "RTX 4090 Laptop",                     16,   576,   66, 4, 16,  150, "cuda",   NV_PAGE },
	{ "RTX 2000 Ada",                        16,   224,   48, 4,  8,   70, "cuda",   NV_SHEET },
	{ "RTX 4000 Ada",                        20,   360,  107, 4, 16,  130, "cuda",   NV_SHEET },
	{ "RTX 4000 SFF Ada",                    20,   280,   77, 4, 16,   70, "cuda",   NV_SHEET },
	{ "RTX 4500 Ada",                        24,   432,  159, 4, 16,  210, "cuda",   NV_SHEET },
	{ "RTX 5000 Ada",                        32,   576,  261, 4, 16,  250, "cuda",   NV_SHEET },
	{ "RTX 6000 Ada",                        48,   960,  364, 4, 16,  300, "cuda",   NV_SHEET },
	{ "L4",                                  24,   300,  121, 4, 16,   72, "cuda",   NV_SHEET },
	{ "L40",                                 48,   864,  181, 4, 16,  300, "cuda",   NV_SHEET },
	{ "L40S",                                48,   864,  362, 4, 16,  350, "cuda",   NV_SHEET },

	/* NVIDIA Hopper and Blackwell */
	{ "H100 PCIe",                           80,  2000,  756, 5, 16,  350, "cuda",   NV_SHEET },
	{ "H100 SXM",                            80,  3350,  989, 5, 16,  700, "cuda",   NV_SHEET },
	{ "H100 NVL",                            94,  3900,  835, 5, 16,  400, "cuda",   NV_SHEET },
	{ "H200 SXM",                           141,  4800,  989, 5, 16,  700, "cuda",   NV_SHEET },
	{ "H200 NVL",                           141,  4800,  835, 5, 16,  600, "cuda",   NV_SHEET },
	{ "B200",                               180,  7700, 2250, 5, 16, 1000, "cuda",   NV_SHEET },
	{ "RTX 5050",                             8,   320,   26, 5,  8,  130, "cuda",   NV_PAGE },
	{ "RTX 5060",                             8,   448,   38, 5,  8,  145, "cuda",   NV_PAGE },
	{ "RTX 5060 Ti 8GB",                      8,   448,   47, 5,  8,  180, "cuda",   NV_PAGE },
	{ "RTX 5060 Ti 16GB",                    16,   448,   47, 5,  8,  180, "cuda",   NV_PAGE },
	{ "RTX 5070",                            12,   672,   62, 5, 16,  250, "cuda",   NV_PAGE },
	{ "RTX 5070 Ti",                         16,   896,   88, 5, 16,  300, "cuda",   NV_PAGE },
	{ "RTX 5080",                            16,   960,  113, 5, 16,  360, "cuda",   NV_PAGE },
	{ "RTX 5090",                            32,  1792,  210, 5, 16,  575, "cuda",   NV_PAGE },
	{ "RTX 5070 Laptop",                      8,   384,   46, 5,  8,  100, "cuda",   NV_PAGE },
	{ "RTX 5070 Ti Laptop",                  12,   672,   50, 5,  8,  115, "cuda",   NV_PAGE },
	{ "RTX 5080 Laptop",                     16,   896,   60, 5, 16,  150, "cuda",   NV_PAGE },
	{ "RTX 5090 Laptop",                     24,   896,   64, 5, 16,  150, "cuda",   NV_PAGE },
	{ "RTX PRO 4000 Blackwell",              24,   672,    0, 5, 16,  140, "cuda",   NV_SHEET },
	{ "RTX PRO 4500 Blackwell",              32,   896,    0, 5, 16,  200, "cuda",   NV_SHEET },
	{ "RTX PRO 5000 Blackwell",              48,  1344,    0, 5, 16,  300, "cuda",   NV_SHEET },
	{ "RTX PRO 6000 Blackwell",              96,  1792,    0, 5, 16,  600, "cuda",   NV_SHEET },
	{ "DGX Spark GB10",                       0,   273,    0, 0,  0,  140, "cuda",   NV_SHEET },

	/* AMD Vega, RDNA 1 and 2 */
	{ "RX Vega 56",                           8,   410,   21, 3, 16,  210, "vulkan", AMD_PAGE },
	{ "RX Vega 64",                           8,   483,   25, 3, 16,  295, "vulkan", AMD_PAGE },
	{ "Radeon VII",                          16,  1024,   27, 3, 16,  300, "vulkan", AMD_PAGE },
	{ "RX 5500 XT",                           8,   224,   10, 4,  8,  130, "vulkan", AMD_PAGE },
	{ "RX 5600 XT",                           6,   288,   14, 4, 16,  150, "vulkan", AMD_PAGE },
	{ "RX 5700",                              8,   448,   16, 4, 16,  180, "vulkan", AMD_PAGE },
	{ "RX 5700 XT",                           8,   448,   20, 4, 16,  225, "vulkan", AMD_PAGE },
	{ "RX 6500 XT",                           4,   144,   11, 4,  4,  107, "vulkan", AMD_PAGE },
	{ "RX 6600",                              8,   224,   18, 4,  8,  132, "vulkan", AMD_PAGE },
	{ "RX 6600 XT",                           8,   256,   21, 4,  8,  160, "vulkan", AMD_PAGE },
	{ "RX 6650 XT",                           8,   280,   22, 4,  8,  180, "vulkan", AMD_PAGE },
	{ "RX 6700",                             10,   320,   23, 4, 16,  175, "vulkan", AMD_PAGE },
	{ "RX 6700 XT",                          12,   384,   26, 4, 16,  230, "vulkan", AMD_PAGE },
	{ "RX 6750 XT",                          12,   432,   27, 4, 16,  250, "vulkan", AMD_PAGE },
	{ "RX 6800",                             16,   512,   32, 4, 16,  250, "vulkan", AMD_PAGE },
	{ "RX 6800 XT",                          16,   512,   41, 4, 16,  300, "vulkan", AMD_PAGE },
	{ "RX 6900 XT",                          16,   512,   46, 4, 16,  300, "vulkan", AMD_PAGE },
	{ "RX 6950 XT",                          16,   576,   47, 4, 16,  335, "vulkan", AMD_PAGE },
	{ "PRO W6600",                            8,   224,   21, 4,  8,  100, "vulkan", AMD_PAGE },
	{ "PRO W6800",                           32,   512,   36, 4, 16,  250, "vulkan", AMD_PAGE },

	/* AMD RDNA 3 and 4 */
	{ "RX 7600",                              8,   288,   43, 4,  8,  165, "vulkan", AMD_PAGE },
	{ "RX 7600 XT",                          16,   288,   45, 4,  8,  190, "vulkan", AMD_PAGE },
	{ "RX 7700 XT",                          12,   432,   70, 4, 16,  245, "vulkan", AMD_PAGE },
	{ "RX 7800 XT",                          16,   624,   75, 4, 16,  263, "vulkan", AMD_PAGE },
	{ "RX 7900 GRE",                         16,   576,   92, 4, 16,  260, "vulkan", AMD_PAGE },
	{ "RX 7900 XT",                          20,   800,  103, 4, 16,  315, "vulkan", AMD_PAGE },
	{ "RX 7900 XTX",                         24,   960,  123, 4, 16,  355, "vulkan", AMD_PAGE },
	{ "PRO W7500",                            8,   172,   24, 4,  8,   70, "vulkan", AMD_PAGE },
	{ "PRO W7600",                            8,   288,   40, 4,  8,  130, "vulkan", AMD_PAGE },
	{ "PRO W7700",                           16,   576,   57, 4, 16,  190, "vulkan", AMD_PAGE },
	{ "PRO W7800",                           32,   576,   90, 4, 16,  260, "vulkan", AMD_PAGE },
	{ "PRO W7900",                           48,   864,  123, 4, 16,  295, "vulkan", AMD_PAGE },
	{ "RX 9060 XT 8GB",                       8,   320,  103, 5, 16,  150, "vulkan", AMD_PAGE },
	{ "RX 9060 XT 16GB",                     16,   320,  103, 5, 16,  160, "vulkan", AMD_PAGE },
	{ "RX 9070 GRE",                         12,   432,    0, 5, 16,  220, "vulkan", AMD_PAGE },
	{ "RX 9070",                             16,   640,  145, 5, 16,  220, "vulkan", AMD_PAGE },
	{ "RX 9070 XT",                          16,   640,  195, 5, 16,  304, "vulkan", AMD_PAGE },
	{ "AI PRO R9700",                        32,   640,  191, 5, 16,  300, "vulkan", AMD_PAGE },

	/* AMD accelerators */
	{ "MI25",                                16,   484,   25, 3, 16,  300, "vulkan", AMD_SHEET },
	{ "MI50 16GB",                           16,  1024,   27, 4, 16,  300, "vulkan", AMD_SHEET },
	{ "MI50 32GB",                           32,  1024,   27, 4, 16,  300, "vulkan", AMD_SHEET },
	{ "MI60",                                32,  1024,   29, 4, 16,  300, "vulkan", AMD_SHEET },
	{ "MI100",                               32,  1228,  185, 4, 16,  300, "vulkan", AMD_SHEET },
	{ "MI210",                               64,  1638,  181, 4, 16,  300, "vulkan", AMD_SHEET },
	{ "MI300X",                             192,  5300, 1307, 5, 16,  750, "vulkan", AMD_SHEET },
	{ "MI325X",                             256,  6000, 1307, 5, 16, 1000, "vulkan", AMD_SHEET },
	{ "MI350X",                             288,  8000, 2300, 5, 16, 1000, "vulkan", AMD_SHEET },
	{ "MI355X",                             288,  8000, 2500, 5, 16, 1400, "vulkan", AMD_SHEET },
	{ "MI250 one die",                       64,  1638,  181, 4, 16,  280, "vulkan", AMD_SHEET },
	{ "MI250X one die",                      64,  1638,  191, 4, 16,  280, "vulkan", AMD_SHEET },

	/* GPUs of processors */
	{ "Ryzen AI Max 395 Strix Halo 8060S",    0,   256,    0, 0,  0,  120, "vulkan", APU },
	{ "Ryzen AI Max 385 8050S",               0,   256,    0, 0,  0,  120, "vulkan", APU },
	{ "Ryzen AI 9 HX 370 890M",               0,   120,    0, 0,  0,   54, "vulkan", APU },
	{ "Ryzen 7 7840U 780M",                   0,   102,    0, 0,  0,   30, "vulkan", APU },
	{ "Core Ultra 200V Lunar Lake 140V",      0,   136,    0, 0,  0,   37, "vulkan", APU },

	/* Intel Arc and Data Center */
	{ "A310",                                 4,   124,   25, 4,  8,   75, "vulkan", INTEL_ARK },
	{ "A380",                                 6,   186,   33, 4,  8,   75, "vulkan", INTEL_ARK },
	{ "A580",                                 8,   512,   98, 4, 16,  185, "vulkan", INTEL_ARK },
	{ "A750",                                 8,   512,  118, 4, 16,  225, "vulkan", INTEL_ARK },
	{ "A770 8GB",                             8,   512,  138, 4, 16,  225, "vulkan", INTEL_ARK },
	{ "A770 16GB",                           16,   560,  138, 4, 16,  225, "vulkan", INTEL_ARK },
	{ "B570",                                10,   380,   94, 4,  8,  150, "vulkan", INTEL_ARK },
	{ "B580",                                12,   456,  117, 4,  8,  190, "vulkan", INTEL_ARK },
	{ "Pro A40",                              6,   192,    0, 4,  8,   50, "vulkan", INTEL_ARK },
	{ "Pro A60",                             12,   384,    0, 4, 16,  130, "vulkan", INTEL_ARK },
	{ "Pro B50",                             16,   224,    0, 5,  8,   70, "vulkan", INTEL_ARK },
	{ "Pro B60",                             24,   456,   98, 5,  8,  200, "vulkan", INTEL_ARK },
	{ "Flex 170",                            16,   576,    0, 4, 16,  150, "vulkan", INTEL_ARK },
	{ "Max 1100",                            48,  1229,    0, 5, 16,  300, "vulkan", INTEL_ARK },
};
/* clang-format on */

#define N_CARDS (sizeof(cards) / sizeof(cards[0]))

const struct card *card_at(size_t i)
{
	return i < N_CARDS ? &cards[i] : NULL;
}

/* Megabytes a second of one lane, after 128b/130b coding (generations 3 to 5). */
uint64_t card_link_bytes_s(const struct card *c)
{
	static const uint64_t lane_mb_s[] = { [3] = 985, [4] = 1969, [5] = 3938 };

	if (c->link_gen < 3 || c->link_gen > 5)
		return 0;
	return lane_mb_s[c->link_gen] * 1000000 * c->link_lanes;
}

/* --- names --- */

#define WORDS_MAX 24

struct words {
	char text[160];
	const char *w[WORDS_MAX]; /* none is empty */
	uint32_t n;
	uint32_t gib; /* "24GB" in the name; 0: none */
};

/* They say who made it, not what it is. */
static const char *const noise[] = {
	"nvidia", "geforce", "amd",      "radeon", "intel",      "arc",         "graphics", "tesla",
	"gpu",    "quadro",  "instinct", "card",   "generation", "corporation", "edition"
};

static bool is_noise(const char *w)
{
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
		if (strcmp(noise[i], w) == 0)
			return true;
	}
	return false;
}

static void add_word(struct words *ws, const char *w)
{
	if ((strcmp(w, "gb") == 0 || strcmp(w, "gib") == 0) && ws->n &&
	    isdigit(ws->w[ws->n - 1][0]))
		ws->gib = (uint32_t)strtoul(ws->w[--ws->n], NULL, 10);
	else if (!is_noise(w) && ws->n < WORDS_MAX)
		ws->w[ws->n++] = w;
}

/* "RX7900XTX 24GB" -> "rx" "7900" "xtx", 24 GiB. */
static void split_words(struct words *ws, const char *name)
{
	size_t out = 0;

	*ws = (struct words) { 0 };
	while (*name) {
		char *word = ws->text + out;
		bool digit = isdigit((unsigned char)*name);

		if (!isalnum((unsigned char)*name)) {
			name++;
			continue;
		}
		while (isalnum((unsigned char)*name) &&
		       (bool)isdigit((unsigned char)*name) == digit) {
			if (out + 2 >= sizeof(ws->text))
				return;
			ws->text[out++] = (char)tolower((unsigned char)*name++);
		}
		ws->text[out++] = '\0';
		add_word(ws, word);
	}
}

static bool has_word(const struct words *ws, const char *w)
{
	for (uint32_t i = 0; i < ws->n; i++) {
		if (strcmp(ws->w[i], w) == 0)
			return true;
	}
	return false;
}

/* Whether every word of `part` is in `all`. */
static bool contains(const struct words *all, const struct words *part)
{
	for (uint32_t i = 0; i < part->n; i++) {
		if (!has_word(all, part->w[i]))
			return false;
	}
	return part->n > 0;
}

/* Drivers keep a few percent for themselves. */
static bool memory_fits(const struct card *c, uint64_t bytes)
{
	uint64_t full = (uint64_t)c->memory_gib << 30;

	return !bytes || !full || (bytes > full / 100 * 90 && bytes < full / 100 * 102);
}

static int several(const struct card *const *found, uint32_t n, const char *name, struct err *e)
{
	char list[400];
	struct text t;

	text_init(&t, list, sizeof(list));
	for (uint32_t i = 0; i < n; i++)
		text_add(&t, "%s%s (%u GiB)", i ? ", " : "", found[i]->name, found[i]->memory_gib);
	return err_set(e, -EINVAL, "'%.80s' may be %s; say which", name, list);
}

struct found_cards {
	const struct card *all[8];
	uint32_t n;
};

/* The rows that a name fits best: those with the fewest words more than it has. */
static void look_up(struct found_cards *f, const struct words *want, uint64_t memory_bytes)
{
	uint32_t least = UINT32_MAX;
	struct words has;

	f->n = 0;
	/* A single letter is somebody's name for a GPU, not a card's: "X" is no TITAN X. */
	if (want->n == 1 && !want->w[0][1])
		return;
	for (size_t i = 0; i < N_CARDS; i++) {
		split_words(&has, cards[i].name);
		if (!contains(&has, want) || !memory_fits(&cards[i], memory_bytes))
			continue;
		uint32_t extra = has.n - want->n;

		if (extra < least)
			f->n = 0;
		least = extra < least ? extra : least;
		if (extra == least && f->n < sizeof(f->all) / sizeof(f->all[0]))
			f->all[f->n++] = &cards[i];
	}
}

static const struct card *slowest(const struct found_cards *f)
{
	const struct card *c = f->n ? f->all[0] : NULL;

	for (uint32_t i = 1; i < f->n; i++) {
		if (f->all[i]->bandwidth_gb_s < c->bandwidth_gb_s)
			c = f->all[i];
	}
	return c;
}

int card_find(const struct card **out, const char *name, uint64_t memory_bytes, struct err *e)
{
	struct found_cards f;
	struct words want;

	split_words(&want, name);
	look_up(&f, &want, memory_bytes ? memory_bytes : (uint64_t)want.gib << 30);
	*out = slowest(&f);
	if (f.n == 0)
		return err_set(e, -ENOENT, "no card is known as '%.80s'", name);
	for (uint32_t i = 1; i < f.n; i++) {
		if (f.all[i]->memory_gib != f.all[0]->memory_gib)
			return several(f.all, f.n, name, e);
	}
	return 0;
}

const struct card *card_like(const char *name)
{
	struct found_cards f;
	struct words want;

	split_words(&want, name);
	look_up(&f, &want, 0);
	return slowest(&f);
}

/* Whether the words of `part` stand in `all` one after the other. */
static bool contains_run(const struct words *all, const struct words *part)
{
	for (uint32_t at = 0; at + part->n <= all->n; at++) {
		uint32_t i = 0;

		while (i < part->n && strcmp(all->w[at + i], part->w[i]) == 0)
			i++;
		if (i == part->n)
			return part->n > 0;
	}
	return false;
}

/*
 * One id of pci.ids may stand for several cards ("RX 6800/6800 XT / 6900 XT"): there the words of each are
 * scattered, and a single letter among them says nothing.
 */
static bool is_card(const struct words *all, const struct words *row, bool lists)
{
	return contains_run(all, row) || (lists && row->w[0][1] && contains(all, row));
}

const struct card *card_of_device(const char *name, uint64_t memory_bytes)
{
	bool lists = strchr(name, '/') != NULL;
	const struct card *best = NULL;
	uint32_t most = 0;
	struct words all, row;

	split_words(&all, name);
	for (size_t i = 0; i < N_CARDS; i++) {
		split_words(&row, cards[i].name);
		if (!is_card(&all, &row, lists) || !memory_fits(&cards[i], memory_bytes))
			continue;
		bool differs = best && best->bandwidth_gb_s != cards[i].bandwidth_gb_s;

		if (differs && (lists || row.n == most))
			return NULL;
		if (row.n >= most)
			best = &cards[i];
		most = row.n > most ? row.n : most;
	}
	return best;
}
