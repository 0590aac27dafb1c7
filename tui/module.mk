# SPDX-License-Identifier: MIT
# The monitor. Everything but what touches a terminal is in the library, for tests.
tui.uses     := probe base
tui.lib      := canvas.c events.c glyphs.c history.c judge.c layout.c prefs.c view.c view_devices.c view_runs.c json.c \
	sample.c
# What is recorded, and shown again
tui.lib += demo.c film.c flight.c frame_run.c frames.c player.c recorder.c replay.c tape.c
# Without a screen
tui.lib += line.c prom.c ssh.c
tui.pkgs     := ncursesw
tui.programs := top
tui.top.src  := main.c watch.c draw.c
