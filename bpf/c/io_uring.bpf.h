/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/*
 * Requests of io_uring. One counts for the thread that takes it from the queue: the one in io_uring_enter, or the queue's own poller. The
 * tracepoint has had two names and three signatures; what is counted needs no argument. Nobody without a ring ever gets here.
 */
#pragma once

static __always_inline int count_sqe(const bool typed)
{
	struct thread *t = this_thread(typed);

	if (t)
		t->counted.n_io_uring_sqes += 1;
	return 0;
}

TRACED(request_submitted, "io_uring_submit_req")
{
	return count_sqe(typed);
}

TRACED(sqe_submitted, "io_uring_submit_sqe")
{
	return count_sqe(typed);
}
