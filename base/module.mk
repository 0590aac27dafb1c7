# SPDX-License-Identifier: MIT
# Errors, facts, text, machine roots, commands, JSON, telemetry, plans: what every program shares, and the front.
base.uses := 
base.lib := apart.c cache.c child.c cmd.c cmd_doc.c cmd_verb.c cmd_words.c cpulist.c err.c fact.c field.c hash.c io.c json.c log.c machine.c pages.c planfile.c planfile_json.c self.c \
	sockets.c telem.c telem_bridge.c telem_dir.c text.c
base.pkgs := jansson libmd
