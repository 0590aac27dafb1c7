# Holds no module yet: see README.md.
kmod.uses :=
