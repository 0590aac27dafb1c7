# SPDX-License-Identifier: MIT
# Holds no program yet: see README.md.
bar-forward.uses := probe base
