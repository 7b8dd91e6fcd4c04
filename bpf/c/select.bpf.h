/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * Whom to record, by rule: control group, user, name, program. Decided here, where a process is made, executes a program, joins a group or
 * takes a name, so that it is recorded from its next call on. Of each sort of rule there may be several, of which one must hold; every sort
 * that there is must hold. With no rule at all, everybody is meant.
 */
#pragma once

/* Where the controllers' hierarchies are: 0 that of version 2, then one of version 1 by a controller in it. */
enum group_tree { TREE_V2, TREE_CPU, TREE_MEMORY, TREE_PIDS, TREE_DEVICES, TREE_FREEZER, N_TREES };

/* Text with one `*` at most: what is before it, and what is after. Without one, all of it is before. */
struct pattern {
	__u32 head_len;
	__u32 tail_len;
	__u32 whole; /* there is no `*` */
	__u32 base; /* is about what follows the last `/` */
	char head[PATTERN_BYTES];
	char tail[PATTERN_BYTES];
};

/* Knobs, set before load. */
const volatile bool selects = false; /* there are rules, or everybody is meant */
const volatile __u32 own_pid = 0; /* never selected: the recorder */
const volatile __u32 group_trees = 0; /* a bit for each hierarchy that a group may be in; 0: groups do not matter */
const volatile __u32 n_select_users = 0, n_select_comms = 0, n_select_exes = 0;
const volatile __u32 select_users[MOST_USERS] = {};
const volatile struct pattern select_comms[MOST_PATTERNS] = {};
const volatile struct pattern select_exes[MOST_PATTERNS] = {};

volatile __u32 selecting; /* set by user space when all programs are attached */

struct group_key {
	__u64 id;
	__u32 tree; /* TREE_* */
	__u32 pad;
};

/* The groups that are meant, with all below them. Filled by user space, also later, when one that was waited for is there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct group_key);
	__type(value, __u32);
} wanted_groups SEC(".maps");

/*
 * What is compared: too long for the stack. Where it begins and ends is here, too, because the verifier, which follows numbers but not
 * what is in a map, would go through every pair of them.
 */
struct text {
	__u32 base; /* after the last `/` */
	__u32 end;
	char bytes[2 * PATH_BYTES];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text);
} text_scratch SEC(".maps");

#define GROUP_DEPTH 24 /* levels that are looked at */

static __noinline int in_wanted_group(struct cgroup *cgroup, __u32 tree)
{
	struct group_key key = { .tree = tree };
	int level = BPF_CORE_READ(cgroup, level), i;
	struct cgroup___old *old = (void *)cgroup;
	struct cgroup *above;

	for (i = 0; i < GROUP_DEPTH; i++) {
		if (i > level)
			return 0;
		/* By hand, because a CO-RE access path needs its index as a constant. */
		if (bpf_core_field_exists(cgroup->ancestors)) {
			if (bpf_probe_read_kernel(&above, sizeof(above),
						  (void *)cgroup + bpf_core_field_offset(cgroup->ancestors) + i * sizeof(above)))
				return 0;
			key.id = BPF_CORE_READ(above, kn, id);
		} else if (bpf_probe_read_kernel(&key.id, sizeof(key.id),
						 (void *)old + bpf_core_field_offset(old->ancestor_ids) + i * sizeof(__u64))) {
			return 0;
		}
		if (bpf_map_lookup_elem(&wanted_groups, &key))
			return 1;
	}
	return 0;
}

/* The group of a task in a hierarchy of version 1 that the controller `subsystem` is in. */
static __always_inline struct cgroup *group_of_subsystem(struct css_set *set, int subsystem)
{
	struct cgroup_subsys_state *state = 0;

	bpf_probe_read_kernel(&state, sizeof(state), (void *)set + bpf_core_field_offset(set->subsys) + subsystem * sizeof(state));
	return state ? BPF_CORE_READ(state, cgroup) : 0;
}

#define IN_SUBSYSTEM(set, tree, name)                                                                                  \
	(group_trees & 1 << (tree) && bpf_core_enum_value_exists(enum cgroup_subsys_id, name) &&                       \
	 in_wanted_group(group_of_subsystem(set, bpf_core_enum_value(enum cgroup_subsys_id, name)), tree))

static __noinline int is_in_groups(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);

	if (group_trees & 1 << TREE_V2 && in_wanted_group(BPF_CORE_READ(set, dfl_cgrp), TREE_V2))
		return 1;
	return IN_SUBSYSTEM(set, TREE_CPU, cpu_cgrp_id) || IN_SUBSYSTEM(set, TREE_MEMORY, memory_cgrp_id) ||
	       IN_SUBSYSTEM(set, TREE_PIDS, pids_cgrp_id) || IN_SUBSYSTEM(set, TREE_DEVICES, devices_cgrp_id) ||
	       IN_SUBSYSTEM(set, TREE_FREEZER, freezer_cgrp_id);
}

static __noinline int fits(const volatile struct pattern *p, const struct text *text, bool base)
{
	__u32 head_len, tail_len, from, end, len, i;

	if (!p || !text)
		return 0;
	head_len = p->head_len;
	tail_len = p->tail_len;
	from = base ? text->base : 0;
	end = text->end;
	len = end - from;
	if (p->whole ? len != head_len : len < head_len + tail_len)
		return 0;
	for (i = 0; i < PATTERN_BYTES; i++) {
		if (i >= head_len)
			break;
		if (text->bytes[(from + i) & (2 * PATH_BYTES - 1)] != p->head[i])
			return 0;
	}
	for (i = 0; i < PATTERN_BYTES; i++) {
		if (i >= tail_len)
			break;
		if (text->bytes[(end - tail_len + i) & (2 * PATH_BYTES - 1)] != p->tail[i])
			return 0;
	}
	return 1;
}

static __noinline int fits_any_name(const struct text *text)
{
	__u32 i;

	if (!text)
		return 0;
	for (i = 0; i < MOST_PATTERNS; i++) {
		if (i >= n_select_comms)
			return 0;
		if (fits(&select_comms[i], text, false))
			return 1;
	}
	return 0;
}

static __noinline int fits_any_program(struct text *text)
{
	__u32 i;

	if (!text)
		return 0;
	text->base = 0;
	for (i = 0; i < PATH_BYTES; i++) {
		if (i >= *(volatile __u32 *)&text->end)
			break;
		if (text->bytes[i] == '/')
			text->base = i + 1;
	}
	for (i = 0; i < MOST_PATTERNS; i++) {
		if (i >= n_select_exes)
			return 0;
		if (fits(&select_exes[i], text, select_exes[i].base))
			return 1;
	}
	return 0;
}

/*
 * Whether the process of `leader` is meant. `name`: the name that it is about to take, 0: the one it has; `file`: the program that it
 * executes. What it executed before is not known here: without a `file`, a rule on programs never holds, and user space looks for those.
 */
static __noinline int is_selected(struct task_struct *leader, const char *name, const char *file)
{
	struct text *text;
	__u32 zero = 0, i, uid;
	long n;

	if (!leader || !selecting)
		return 0;
	if (BPF_CORE_READ(leader, tgid) == own_pid || BPF_CORE_READ(leader, flags) & PF_KTHREAD)
		return 0;
	if (n_select_users) {
		uid = BPF_CORE_READ(leader, cred, uid.val);
		for (i = 0; i < MOST_USERS; i++) {
			if (i >= n_select_users)
				return 0;
			if (select_users[i] == uid)
				break;
		}
	}
	if (group_trees && !is_in_groups(leader))
		return 0;
	if (!n_select_comms && !n_select_exes)
		return 1;
	text = bpf_map_lookup_elem(&text_scratch, &zero);
	if (!text)
		return 0;
	if (n_select_comms) {
		if (name)
			n = bpf_probe_read_kernel_str(text->bytes, COMM_BYTES, name);
		else
			n = BPF_CORE_READ_STR_INTO(&text->bytes, leader, comm);
		if (n < 1 || n > COMM_BYTES)
			return 0;
		text->end = n - 1;
		if (!fits_any_name(text))
			return 0;
	}
	if (n_select_exes) {
		if (!file)
			return 0;
		n = bpf_probe_read_kernel_str(text->bytes, PATH_BYTES, file);
		if (n < 1 || n > PATH_BYTES)
			return 0;
		text->end = n - 1;
		if (!fits_any_program(text))
			return 0;
	}
	return 1;
}
