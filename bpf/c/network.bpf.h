/* SPDX-License-Identifier: (GPL-2.0 OR BSD-2-Clause) */
/* Bytes of internet sockets, at the socket call, where the current task is the one that asked. */
#pragma once

TRACED(socket_sent, "sock_send_length")
{
	struct thread *t = this_thread(typed);
	int ret = ctx[1];

	if (!t || ret <= 0 || !is_internet((void *)ctx[0], typed))
		return 0;
	t->counted.net_tx_bytes += ret;
	t->counted.net_tx_msgs += 1;
	if (typed && flows)
		count_flow((void *)ctx[0], t, ret, true);
	return 0;
}

TRACED(socket_received, "sock_recv_length")
{
	struct thread *t = this_thread(typed);
	int ret = ctx[1], flags = ctx[2];

	/* A peek leaves the bytes to be received again; the error queue holds our own packets. */
	if (!t || ret <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) || !is_internet((void *)ctx[0], typed))
		return 0;
	t->counted.net_rx_bytes += ret;
	t->counted.net_rx_msgs += 1;
	if (typed && flows)
		count_flow((void *)ctx[0], t, ret, false);
	return 0;
}
