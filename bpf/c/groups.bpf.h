/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* What makes a process one that is meant without its doing: it is put into a control group, or takes a name. And which groups are made. */
#pragma once

/* A group that is made while recording: the path of one that lives for a moment is nowhere else. */
TRACED(group_made, "cgroup_mkdir")
{
	struct cgroup *cgroup = (void *)ctx[0];
	const char *path = (void *)ctx[1];
	struct new_group *g;
	long n;

	g = bpf_ringbuf_reserve(&lives, sizeof(*g), 0);
	if (!g)
		return count_lost(LOSS_GROUP_RING_FULL);
	g->ts_ns = bpf_ktime_get_boot_ns();
	g->id = BPF_CORE_READ(cgroup, kn, id);
	g->hierarchy = BPF_CORE_READ(cgroup, root, hierarchy_id);
	g->what = LIFE_GROUP;
	n = bpf_probe_read_kernel_str(g->path, sizeof(g->path), path);
	g->path_len = n > 0 && n < sizeof(g->path) ? n : 0;
	g->pad = 0;
	if (!g->path_len)
		count_lost(LOSS_GROUP_PATH_CUT);
	bpf_ringbuf_submit(g, BPF_RB_NO_WAKEUP);
	return 0;
}

/* `task` leads the threads that are moved, or is the only one. */
TRACED(group_joined, "cgroup_attach_task")
{
	struct task_struct *task = (void *)ctx[2], *leader = GET(task, group_leader);

	if (find_thread(task, GET(task, pid), typed) || !is_selected(leader, 0, 0))
		return 0;
	adopt(leader, 0, 0, typed);
	return 0;
}

/* At prctl and exec, before the name is there; a thread's own name is not that of its process. */
TRACED(name_taken, "task_rename")
{
	struct task_struct *task = (void *)ctx[0], *leader = GET(task, group_leader);
	const char *name = (void *)ctx[1];

	if (task != leader || find_thread(task, GET(task, pid), typed) || !is_selected(leader, name, 0))
		return 0;
	adopt(leader, name, 0, typed);
	return 0;
}
