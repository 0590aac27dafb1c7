# SPDX-License-Identifier: MIT
# The monitor. Everything but main.c is in the library, for tests; draw.c alone touches the terminal.
tui.uses     := probe base
# What is known of a moment, and what follows from it
tui.lib      := events.c history.c history_bridge.c judge.c judge_bridge.c json.c json_bridge.c json_device.c kill.c library.c lookout.c prefs.c reader.c rules.c runs.c
# From that to a screen
tui.lib += canvas.c columns.c draw.c fits.c glyphs.c layout.c listing.c pens.c picture.c ui.c ui_end.c ui_lists.c view.c view_bridge_page.c \
	view_bridges.c view_card.c view_details.c view_devices.c view_fits.c view_lists.c view_run_page.c view_runs.c watch.c
# What is recorded, and shown again
tui.lib += demo.c film.c flight.c frame_bridge.c frame_run.c frames.c player.c recorder.c replay.c saver.c tape.c
# Without a screen
tui.lib += line.c options.c print.c prom.c prom_bridge.c source.c ssh.c
tui.pkgs     := ncursesw
tui.programs := top
tui.top.src  := main.c
