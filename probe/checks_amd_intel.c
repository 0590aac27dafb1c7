/* SPDX-License-Identifier: MIT */
#include "probe/doctor_priv.h"

const struct doctor_check checks_amd_intel[] = {
	{ 0 },
};
