# SPDX-License-Identifier: MIT
# Holds no module yet: see README.md.
kmod.uses :=
