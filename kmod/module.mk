# SPDX-License-Identifier: MIT
# A kernel module: `make kmod` builds it, by build.sh. Nothing of it is part of our programs.
kmod.uses :=
