# SPDX-License-Identifier: MIT
# berth: one non-recursive Makefile. Each folder's module.mk names its sources, libraries and programs.
#
#   make            build what the installed libraries allow
#   make deps       install what is missing, fetch the engine
#   make demo       deps, build, and the whole job on a small generated model (MODEL=x.gguf: on yours)
#   make check      deps and tests
#   make install    DESTDIR= PREFIX=/usr/local
#   make bench      timings, as ratios against peers in the same run; make bench-bridge, bench-kmod: of one part
#   make fuzz       every fuzz target, FUZZ_SECONDS=20 each
#   make kmod       the kernel module, for the running kernel or KDIR=; KMOD_KEY= KMOD_CERT= sign it
#   make kmod-check its source, by sparse, kernel-doc, checkpatch, coccinelle
#   make lab        real kernels in emulated machines: TESTS="topology hotplug" runs some cases
#   make ci         what CI runs: check, sanitizers, fuzzing, the lab
#   make nightly    what does not fit into CI
#   make format     clang-format over our C
#
# V=1 shows commands; STRICT=1 makes a missing library, a warning and an unlisted skip an error;
# SAN=asan|tsan|cov builds into its own folder; CC=clang works as well as gcc.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

VERSION := 0.1.0

ifeq ($(origin CC),default)
CC := gcc
endif
AR       ?= ar
PKGCONF  ?= pkg-config
PREFIX   ?= /usr/local
BUILD    ?= build$(SAN:%=-%)
# The engine is fetched once, whatever is built with it.
ENGINE_BUILD ?= build
FUZZ_SECONDS ?= 20

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

MODULES := base probe vram-planner core launch tui device bar-forward kmod

# --- flags -------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
	-Wpointer-arith -Wwrite-strings
SAN_FLAGS.asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Fences, which TSan does not know, order what processes share, which it does not see anyway: gcc warns of each.
SAN_FLAGS.tsan := -fsanitize=thread -fno-omit-frame-pointer $(if $(findstring clang,$(CC)),,-Wno-tsan)
SAN_FLAGS.cov  := --coverage
SAN_FLAGS.fuzz := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
ifneq ($(filter-out asan tsan cov fuzz,$(SAN)),)
$(error SAN=$(SAN) is unknown: asan, tsan, cov or fuzz)
endif
SAN_FLAGS := $(SAN_FLAGS.$(SAN))

OPT    ?= -O2 -g
HARDEN := $(if $(SAN),,-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE)
CFLAGS ?=
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DBERTH_VERSION='"$(VERSION)"' $(CPPFLAGS_WANTED) $(CPPFLAGS)
CFLAGS_ALL = -std=c17 $(OPT) $(WARN) $(if $(STRICT),-Werror) $(HARDEN) $(SAN_FLAGS) $(CFLAGS)
LDFLAGS_ALL = $(if $(SAN),,-pie -Wl,-z,relro,-z,now) -Wl,--as-needed $(SAN_FLAGS) $(LDFLAGS)

# --- modules -----------------------------------------------------------------------------------

include $(foreach m,$(MODULES),$(wildcard $(m)/module.mk))
-include $(ENGINE_BUILD)/engine/engine.mk

uniq = $(if $(1),$(firstword $(1)) $(call uniq,$(filter-out $(firstword $(1)),$(1))))
closure = $(1) $(call uniq,$(foreach u,$($(1).uses),$(call closure,$(u))))
pkgs_of = $(call uniq,$(foreach m,$(call closure,$(1)),$($(m).pkgs)))
program_pkgs = $(foreach p,$($(1).programs),$($(1).$(p).pkgs))

# Goals that build nothing here need no library.
NO_BUILD := deps demo kmod kmod-check check clean format ci nightly help fuzz bench bench-bridge bench-kmod lab
ifneq ($(or $(filter-out $(NO_BUILD),$(MAKECMDGOALS)),$(if $(MAKECMDGOALS),,all)),)
WANTED_PKGS := $(call uniq,$(foreach m,$(MODULES),$($(m).wants)))
ALL_PKGS := $(call uniq,$(foreach m,$(MODULES),$($(m).pkgs) $(call program_pkgs,$(m))) $(WANTED_PKGS))
HAVE_PKGS := $(shell for p in $(ALL_PKGS); do $(PKGCONF) --exists $$p 2>/dev/null && echo $$p; done)
ifneq ($(filter-out $(HAVE_PKGS),$(base.pkgs)),)
$(error berth needs $(filter-out $(HAVE_PKGS),$(base.pkgs)) and $(PKGCONF): run 'make deps')
endif
endif

missing_of = $(strip $(filter-out $(HAVE_PKGS),$(call pkgs_of,$(1)) $(call program_pkgs,$(1))) \
	$(if $(and $(filter 1,$(foreach p,$($(1).programs),$($(1).$(p).engine))),$(if $(ENGINE_VERSION),,1)),engine))
define judge
ifneq ($$(call missing_of,$(1)),)
SKIPPED += $(1)
$(1).missing := $$(call missing_of,$(1))
endif
endef
ifdef ALL_PKGS
$(foreach m,$(MODULES),$(eval $(call judge,$(m))))
# One line each, so that a part is never missing in silence.
ifneq ($(SKIPPED),)
$(foreach m,$(SKIPPED),$(if $(STRICT),$(error $(m) cannot be built: no $($(m).missing); run 'make deps'),\
	$(info berth: $(m) is skipped: no $($(m).missing); 'make deps' installs it)))
endif
# What a module can do without, but less well: its code is told by -DHAVE_NAME.
WANTED_MISSING := $(filter-out $(HAVE_PKGS),$(WANTED_PKGS))
ifneq ($(WANTED_MISSING),)
$(if $(STRICT),$(error no $(WANTED_MISSING); run 'make deps'),\
	$(info berth: built without $(WANTED_MISSING); 'make deps' installs it))
endif
CPPFLAGS_WANTED := $(addprefix -DHAVE_,$(filter $(WANTED_PKGS),$(HAVE_PKGS)))
BUILT := $(filter-out $(SKIPPED),$(MODULES))
PKG_CFLAGS := $(shell $(PKGCONF) --cflags $(HAVE_PKGS))
$(foreach p,$(HAVE_PKGS),$(eval LIBS.$(p) := $(shell $(PKGCONF) --libs $(p))))
endif

# The flags stamp: another compiler or another flag rebuilds what it touches, and nothing else does.
FLAGS_NOW := $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(PKG_CFLAGS) $(ENGINE_VERSION)
FLAGS_FILE := $(BUILD)/flags
ifdef ALL_PKGS
ifneq ($(FLAGS_NOW),$(file <$(FLAGS_FILE)))
$(shell mkdir -p $(BUILD))
$(file >$(FLAGS_FILE),$(FLAGS_NOW))
endif
endif

obj = $(addprefix $(BUILD)/obj/,$(patsubst %.c,%.o,$(1)))
lib = $(BUILD)/lib-static/lib$(1).a
libs_of = $(foreach m,$(call closure,$(1)),$(if $($(m).lib),$(call lib,$(m))))
wants_of = $(call uniq,$(foreach m,$(call closure,$(1)),$($(m).wants)))
ldlibs_of = $(foreach p,$(call pkgs_of,$(1)) $(call wants_of,$(1)) $($(1).$(2).pkgs),$(LIBS.$(p)))

.PHONY: all
all: programs docs

# On module.mk, too: what it names anew must come into the archive, although make has yet to build it.
define module_rules
$(if $($(1).lib),$(call lib,$(1)): $(call obj,$(addprefix $(1)/,$($(1).lib))) $(1)/module.mk)
$(foreach p,$($(1).programs),$(call program_rules,$(1),$(p)))
endef

# Another name for a program
define also_rules
PROGRAMS += $(BUILD)/libexec/berth/$(2)
$(BUILD)/libexec/berth/$(2): $(BUILD)/libexec/berth/$(1)
	$$(call say,LN,$$@)ln -sfn $(1) $$@

endef

define program_rules
PROGRAMS += $(BUILD)/libexec/berth/$(2)
$(BUILD)/libexec/berth/$(2): $(call obj,$(addprefix $(1)/,$($(1).$(2).src))) $(call libs_of,$(1)) $(FLAGS_FILE) \
	$(if $($(1).$(2).engine),$(ENGINE_BUILD)/engine/engine.mk | $(BUILD)/lib/berth)
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(CFLAGS_ALL) $$(LDFLAGS_ALL) -o $$@ $$(filter %.o,$$^) \
		-Wl$$(comma)--start-group $$(filter %.a,$$^) -Wl$$(comma)--end-group $(call ldlibs_of,$(1),$(2)) $(if $($(1).$(2).engine),$$(ENGINE_LIBS) -lm -Wl$$(comma)-rpath$$(comma)'$$$$ORIGIN/../../lib/berth')
$(foreach a,$($(1).$(2).also),$(call also_rules,$(2),$(a)))
$(if $($(1).$(2).engine),$(call obj,$(addprefix $(1)/,$($(1).$(2).src))): EXTRA := $(ENGINE_CFLAGS) -DENGINE_VERSION='"$(ENGINE_VERSION)"')
endef
comma := ,

PROGRAMS :=
$(foreach m,$(BUILT),$(eval $(call module_rules,$(m))))

$(BUILD)/obj/%.o: %.c $(FLAGS_FILE)
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(PKG_CFLAGS) $(EXTRA) -MMD -MP -c -o $@ $<

$(BUILD)/lib-static/%.a:
	$(call say,AR,$@)mkdir -p $(@D) && rm -f $@ && $(AR) rcsD $@ $(filter %.o,$^)

# The front is the one program outside libexec.
FRONT := $(BUILD)/bin/berth
$(FRONT): $(call obj,base/main.c) $(call lib,base) $(FLAGS_FILE)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^)

# The programs find the engine at ../../lib/berth, in the build tree and installed. Make would judge the
# link by the age of the folder that it points to: it is made anew when it points elsewhere.
ifneq ($(shell readlink "$(BUILD)/lib/berth" 2>/dev/null),$(abspath $(ENGINE_LIBDIR)))
.PHONY: $(BUILD)/lib/berth
endif
$(BUILD)/lib/berth: | $(ENGINE_BUILD)/engine/engine.mk
	$(Q)mkdir -p $(@D) && ln -sfn "$(abspath $(ENGINE_LIBDIR))" $@

.PHONY: programs
programs: $(if $(ALL_PKGS),$(FRONT)) $(PROGRAMS)

# --- documents made from the command tables --------------------------------------------------------

COMMANDS := $(notdir $(filter-out %/core %/core-llama-server %/device-helper,$(PROGRAMS)))
SCHEMAS  := $(patsubst docs/schema/%,$(BUILD)/share/berth/schema/%,$(wildcard docs/schema/*.json))
DEVICES  := $(patsubst bar-forward/devices/%,$(BUILD)/share/berth/devices/%,$(wildcard bar-forward/devices/*.json))
MAN      := $(addprefix $(BUILD)/share/man/man1/,berth.1 $(addsuffix .1,$(addprefix berth-,$(COMMANDS))))
COMPLETE := $(addprefix $(BUILD)/share/,bash-completion/completions/berth zsh/site-functions/_berth \
	fish/vendor_completions.d/berth.fish)

.PHONY: docs
docs: $(SCHEMAS) $(DEVICES) $(BUILD)/share/berth/demo.berthrec $(if $(ALL_PKGS),$(MAN) $(COMPLETE))

$(BUILD)/share/berth/schema/%: docs/schema/%
	$(Q)mkdir -p $(@D) && cp $< $@
$(BUILD)/share/berth/devices/%: bar-forward/devices/%
	$(Q)mkdir -p $(@D) && cp $< $@
$(BUILD)/share/berth/demo.berthrec: tui/demo.berthrec
	$(Q)mkdir -p $(@D) && cp $< $@
$(BUILD)/share/man/man1/berth.1: $(FRONT)
	$(call say,MAN,$@)mkdir -p $(@D) && $(FRONT) --help=man >$@
$(BUILD)/share/man/man1/berth-%.1: $(BUILD)/libexec/berth/%
	$(call say,MAN,$@)mkdir -p $(@D) && $< --help=man >$@
$(BUILD)/share/bash-completion/completions/berth: $(FRONT) $(PROGRAMS)
	$(call say,GEN,$@)mkdir -p $(@D) && $(FRONT) completion bash >$@
$(BUILD)/share/zsh/site-functions/_berth: $(FRONT) $(PROGRAMS)
	$(call say,GEN,$@)mkdir -p $(@D) && $(FRONT) completion zsh >$@
$(BUILD)/share/fish/vendor_completions.d/berth.fish: $(FRONT) $(PROGRAMS)
	$(call say,GEN,$@)mkdir -p $(@D) && $(FRONT) completion fish >$@

# --- setting up, demo, install ----------------------------------------------------------------------

.PHONY: deps demo demo-run install clean format help
deps:
	$(Q)sh base/deps/packages.sh build
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)

demo: deps
	$(Q)$(MAKE) --no-print-directory demo-run

demo-run: programs docs $(BUILD)/tests/modelgen/modelgen
	$(Q)BUILD=$(BUILD) sh tests/demo.sh "$(MODEL)"

install: all
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/libexec/berth" "$(DESTDIR)$(PREFIX)/lib/berth" \
		"$(DESTDIR)$(PREFIX)/share/doc/berth/docs"
	install -m 755 $(FRONT) "$(DESTDIR)$(PREFIX)/bin/"
	install -m 755 $(PROGRAMS) "$(DESTDIR)$(PREFIX)/libexec/berth/"
	$(if $(wildcard $(BUILD)/lib/berth),cp -L $(BUILD)/lib/berth/* "$(DESTDIR)$(PREFIX)/lib/berth/")
	cp -R $(BUILD)/share/. "$(DESTDIR)$(PREFIX)/share/"
	install -m 644 README.md LICENSE "$(DESTDIR)$(PREFIX)/share/doc/berth/"
	install -m 644 docs/*.md "$(DESTDIR)$(PREFIX)/share/doc/berth/docs/"
	$(if $(wildcard $(ENGINE_BUILD)/engine/licenses),cp -R $(ENGINE_BUILD)/engine/licenses \
		"$(DESTDIR)$(PREFIX)/share/doc/berth/")
	$(if $(filter device,$(BUILT)),$(install_device))
	$(if $(filter bar-forward,$(BUILT)),$(install_bridge))

# What lets ordinary users ask for changes; nothing of it is setuid. Up to 126 polkit reads actions in no other folder
# than /usr/share's, so they go there from /usr/local, too.
POLKIT_ACTIONS ?= $(if $(filter /usr /usr/local,$(PREFIX)),/usr,$(PREFIX))/share/polkit-1/actions
define install_device
install -d "$(DESTDIR)$(POLKIT_ACTIONS)" "$(DESTDIR)$(PREFIX)/lib/udev/rules.d" "$(DESTDIR)$(PREFIX)/lib/sysusers.d" \
		"$(DESTDIR)$(PREFIX)/share/doc/berth/examples"
	sed 's|@HELPER@|$(PREFIX)/libexec/berth/device-helper|' device/data/org.berth.device.policy.in \
		>"$(DESTDIR)$(POLKIT_ACTIONS)/org.berth.device.policy"
	chmod 644 "$(DESTDIR)$(POLKIT_ACTIONS)/org.berth.device.policy"
	install -m 644 device/data/70-berth-vfio.rules "$(DESTDIR)$(PREFIX)/lib/udev/rules.d/"
	install -m 644 device/data/berth.conf "$(DESTDIR)$(PREFIX)/lib/sysusers.d/"
	install -m 644 device/data/50-berth-power.rules "$(DESTDIR)$(PREFIX)/share/doc/berth/examples/"
endef

# A unit of the user's manager: whoever runs the virtual machine connects to it.
define install_bridge
install -d "$(DESTDIR)$(PREFIX)/lib/systemd/user"
	sed 's|@BERTH@|$(PREFIX)/bin/berth|' 'bar-forward/data/berth-bridge@.service.in' \
		>"$(DESTDIR)$(PREFIX)/lib/systemd/user/berth-bridge@.service"
	chmod 644 "$(DESTDIR)$(PREFIX)/lib/systemd/user/berth-bridge@.service"
endef

# The module, by the build of the kernel that it is for.
KDIR ?= /lib/modules/$(shell uname -r)/build
.PHONY: kmod
kmod:
	$(Q)KMOD_KEY="$(KMOD_KEY)" KMOD_CERT="$(KMOD_CERT)" KMOD_CHECK="$(KMOD_CHECK)" sh kmod/build.sh "$(KDIR)" "$(BUILD)/module"

# What can be found in its source without running it.
.PHONY: kmod-check
kmod-check:
	$(Q)sh base/deps/packages.sh lab kmod
	$(Q)sh kmod/check.sh "$(KDIR)" "$(BUILD)/module-check"

clean:
	rm -rf $(wildcard build build-*)

format:
	clang-format -i $(wildcard $(addsuffix /*.[ch],$(MODULES)) tests/*/*.[ch])

help:
	@sed -n '2,19s/^# \{0,1\}//p' Makefile

# --- tests -------------------------------------------------------------------------------------------

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/*.c))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
FAKES := $(patsubst tests/fake/prog_%.c,$(BUILD)/tests/fake/prog_%,$(wildcard tests/fake/prog_*.c)) \
	$(patsubst tests/fake/lib_%.c,$(BUILD)/tests/fake/lib_%.so,$(wildcard tests/fake/lib_*.c))
# What the lab's guests use functions with.
VFIO_FAKES := $(filter $(BUILD)/tests/fake/prog_vfio_%,$(FAKES))
SCREENS := $(patsubst tests/screen/%.c,$(BUILD)/tests/screen/%,$(wildcard tests/screen/*.c))
BENCH_PROGS := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))
TEST_LIBS = $(foreach m,$(BUILT),$(if $($(m).lib),$(call lib,$(m))))
TEST_LDLIBS = $(foreach p,$(HAVE_PKGS),$(LIBS.$(p))) -lm
test_link = $(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) \
	-Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(TEST_LDLIBS)

$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link) -lcmocka -lpthread
$(BUILD)/tests/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link)
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link) -fsanitize=fuzzer
$(BUILD)/tests/fake/prog_%: $(BUILD)/obj/tests/fake/prog_%.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link)
# A terminal for tests, and the monitor with a clock of its own.
$(BUILD)/tests/screen/%: $(BUILD)/obj/tests/screen/%.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link) -lvterm -lpthread
$(BUILD)/tests/screen/stage: $(call obj,$(wildcard tests/screen/scenes/*.c))
# A fake library is loaded by programs built with or without a sanitizer: it carries none itself.
$(BUILD)/tests/fake/lib_%.so: tests/fake/lib_%.c $(FLAGS_FILE)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(CPPFLAGS_ALL) -std=c17 $(OPT) $(WARN) -fPIC -shared -o $@ $(filter %.c,$^)
$(BUILD)/tests/fake/lib_nvml.so: $(wildcard tests/fake/nvml/*)
# What holds the engine by itself: the core without its main.
CORE_OBJS := $(call obj,$(addprefix core/,$(filter-out main.c,$(core.core.src))))
ENGINE_TESTS := $(patsubst tests/engine/%.c,$(BUILD)/tests/engine/%,$(filter-out %/rig.c,$(wildcard tests/engine/*.c)))
$(BUILD)/tests/engine/%: $(BUILD)/obj/tests/engine/%.o $(BUILD)/obj/tests/engine/rig.o $(CORE_OBJS) $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link) -lcmocka -lpthread $(ENGINE_LIBS) "-Wl,-rpath,$(abspath $(ENGINE_BUILD))/engine/lib"
$(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link) $(ENGINE_LIBS) "-Wl,-rpath,$(abspath $(ENGINE_BUILD))/engine/lib"
$(call obj,$(wildcard tests/bench/*.c)): EXTRA := $(ENGINE_CFLAGS)
MODELGEN_SRC := $(wildcard tests/modelgen/*.c)
$(BUILD)/tests/modelgen/modelgen: $(call obj,$(MODELGEN_SRC)) $(TEST_LIBS) $(FLAGS_FILE)
	$(test_link)
# Model headers and measured truth: ours, kept packed.
$(BUILD)/tests/models/.unpacked: $(wildcard tests/models/*.tar.xz)
	$(Q)for t in $^; do d=$$(basename $$t .tar.xz) && d=$(@D)/$${d%-dev} && mkdir -p $$d && \
		tar -xJf $$t --strip-components=1 -C $$d || exit 1; done && touch $@

# Machines written as one text file each.
TREES := $(wildcard tests/machines/*.tree)
# The folder is a source too, so that a tree that is gone leaves no machine behind.
$(BUILD)/tests/machines/.unfolded: tests/machines/unfold.py $(TREES) tests/machines
	$(Q)rm -rf $(@D) && mkdir -p $(@D) && python3 tests/machines/unfold.py $(@D) $(TREES) && touch $@

# One file a check of the doctor: a machine that fires it, and a near miss.
DOCTOR_TREES := $(wildcard tests/machines/doctor/*.tree)
$(BUILD)/tests/doctor/.unfolded: tests/machines/unfold.py $(DOCTOR_TREES) $(wildcard tests/machines/doctor/base/*.tree)
	$(Q)mkdir -p $(@D) && python3 tests/machines/unfold.py $(@D) $(DOCTOR_TREES) && touch $@

# Machines for `berth device`: what is in use, and by whom.
DEVICE_TREES := $(wildcard tests/machines/device/*.tree)
$(BUILD)/tests/device/.unfolded: tests/machines/unfold.py $(DEVICE_TREES) tests/machines/device
	$(Q)mkdir -p $(@D) && python3 tests/machines/unfold.py $(@D) $(DEVICE_TREES) && touch $@

.PHONY: check check-run test-programs fuzz fuzz-run lab lab-run bench ci nightly
.SECONDARY:
test-programs: $(UNIT) $(ENGINE_TESTS) $(addprefix $(BUILD)/tests/fuzz/,$(FUZZ)) $(FAKES) $(SCREENS) $(BUILD)/tests/modelgen/modelgen \
	$(BUILD)/tests/models/.unpacked $(BUILD)/tests/machines/.unfolded \
	$(BUILD)/tests/doctor/.unfolded $(BUILD)/tests/device/.unfolded

check:
	$(Q)sh base/deps/packages.sh build test $(if $(wildcard /run/systemd/system),,service)
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)
	$(Q)$(MAKE) --no-print-directory check-run

check-run: all test-programs
	$(Q)BUILD=$(BUILD) STRICT=$(STRICT) SAN=$(SAN) CC=$(CC) sh tests/run.sh $(TESTS)

fuzz:
	$(Q)sh base/deps/packages.sh build fuzz
	$(Q)$(MAKE) --no-print-directory SAN=fuzz CC=clang fuzz-run

fuzz-run: $(addprefix $(BUILD)/fuzz/,$(FUZZ))
	$(Q)BUILD=$(BUILD) SECONDS_EACH=$(FUZZ_SECONDS) sh tests/fuzz.sh $(FUZZ)

lab:
	$(Q)sh base/deps/packages.sh build test lab
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)
	$(Q)$(MAKE) --no-print-directory lab-run

lab-run: programs $(BUILD)/tests/modelgen/modelgen $(BUILD)/tests/machines/.unfolded $(VFIO_FAKES) $(BUILD)/tests/fake/prog_bridge_file
	$(Q)BUILD=$(BUILD) STRICT=$(STRICT) SAN=$(SAN) sh tests/lab/run.sh $(TESTS)

bench:
	$(Q)sh base/deps/packages.sh build bench
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)
	$(Q)$(MAKE) --no-print-directory bench-run
.PHONY: bench-run
bench-run: all $(BENCH_PROGS) $(FAKES) $(BUILD)/tests/machines/.unfolded $(BUILD)/tests/models/.unpacked $(BUILD)/tests/modelgen/modelgen
	$(Q)BUILD=$(BUILD) sh tests/bench.sh

# The kernel module beside stock vfio-pci, in an emulated machine.
.PHONY: bench-kmod bench-kmod-run
bench-kmod:
	$(Q)sh base/deps/packages.sh build test lab
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)
	$(Q)$(MAKE) --no-print-directory bench-kmod-run
bench-kmod-run: programs $(VFIO_FAKES)
	$(Q)BUILD=$(BUILD) sh tests/bench/kmod/run.sh

# QEMU, which one of its peers is, comes by the lab's packages.
.PHONY: bench-bridge bench-bridge-run
bench-bridge:
	$(Q)sh base/deps/packages.sh build bench lab
	$(Q)sh core/engine/fetch.sh $(ENGINE_BUILD)
	$(Q)$(MAKE) --no-print-directory bench-bridge-run
bench-bridge-run: programs $(BUILD)/tests/bench/bridge
	$(Q)BUILD=$(BUILD) sh tests/bench/bridge.sh

ci:
	$(Q)sh tests/ci.sh

nightly:
	$(Q)$(MAKE) --no-print-directory FUZZ_SECONDS=600 fuzz
	$(Q)$(MAKE) --no-print-directory CC=clang BUILD=build-clang STRICT=1 check
	$(Q)$(MAKE) --no-print-directory SAN=tsan check
	$(Q)LAB_OWN=1 $(MAKE) --no-print-directory TESTS="kmod-nested kmod-own kmod-debug bridge-vfio-own bridge-guest bridge-linux kmod-linux vfio-selftests" lab
	$(Q)$(MAKE) --no-print-directory SAN=asan TESTS="bridge-qtest bridge-map bridge-guest bridge-removal" lab
	$(Q)$(MAKE) --no-print-directory SAN=tsan TESTS="bridge-qtest bridge-map bridge-guest" lab
	$(Q)$(MAKE) --no-print-directory kmod-check KDIR="$$(sh tests/lab/own_kernel.sh)/build"
	$(Q)python3 tests/states.py build-clang/tests/fake/prog_top_states 2 100000

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
