// SPDX-License-Identifier: GPL-2.0-only
/* Which NIC a packet came in on, and whether it has been here before */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/net_namespace.h>
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
#include <net/netfilter/nf_conntrack.h>
#endif

#include "nvi.h"

/*
 * skb->napi_id tells where a packet was received. No NAPI instance has this
 * number, and every device that sends the packet on overwrites it: a packet
 * that carries it was re-injected by us and has not left the router since.
 */
#define NVI_NAPI_ID		UINT_MAX

/* A mark holds a number in the bits of a contiguous mask. */
static u32 mark_get(u32 word, u32 mask)
{
	return (word & mask) >> __ffs(mask);
}

static u32 mark_set(u32 word, u32 mask, u32 value)
{
	return (word & ~mask) | (value << __ffs(mask));
}

static bool mark_fits(u32 mask, u32 value)
{
	return value <= mask >> __ffs(mask);
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK) && defined(CONFIG_NF_CONNTRACK_MARK)
/*
 * The mark of a connection has no lock, and the user's rules write to it too:
 * a packet of the same connection on another CPU may be first.
 */
static u32 store_ingress(struct nvi *nvi, struct nf_conn *ct, u32 mask,
			 u32 ifindex)
{
	u32 old, new;

	if (!mark_fits(mask, ifindex)) {
		nvi_count(nvi, NVI_CTMARK_FULL);
		return ifindex;
	}
	do {
		old = READ_ONCE(ct->mark);
		if (old & mask)
			return mark_get(old, mask);
		new = mark_set(old, mask, ifindex);
	} while (cmpxchg(&ct->mark, old, new) != old);
	return ifindex;
}

/*
 * This belongs here and not in the hook: conntrack confirms connections at the
 * hook's own priority, and may replace the one of the packet as it does so.
 */
static u32 connection_ingress(struct nvi *nvi, struct sk_buff *skb, u32 ifindex)
{
	u32 mask = READ_ONCE(nvi->ctmark_mask);
	enum ip_conntrack_info ctinfo;
	struct nf_conn *ct;
	u32 stored;

	ct = nf_ct_get(skb, &ctinfo);
	if (!ct || nf_ct_is_template(ct))
		return ifindex;
	stored = mark_get(READ_ONCE(ct->mark), mask);
	if (stored)
		return stored;
	if (CTINFO2DIR(ctinfo) != IP_CT_DIR_ORIGINAL)
		return ifindex;
	return store_ingress(nvi, ct, mask, ifindex);
}

bool nvi_source_supported(enum nvi_source source)
{
	return true;
}
#else
static u32 connection_ingress(struct nvi *nvi, struct sk_buff *skb, u32 ifindex)
{
	return ifindex;
}

bool nvi_source_supported(enum nvi_source source)
{
	return source != NVI_SOURCE_CONNECTION;
}
#endif

u32 nvi_ingress_ifindex(struct nvi *nvi, struct sk_buff *skb)
{
	u32 mask = READ_ONCE(nvi->mark_mask);
	u32 ifindex = mark_get(skb->mark, mask);

	if (!ifindex || READ_ONCE(nvi->source) != NVI_SOURCE_CONNECTION)
		return ifindex;
	ifindex = connection_ingress(nvi, skb, ifindex);
	if (mark_fits(mask, ifindex))
		skb->mark = mark_set(skb->mark, mask, ifindex);
	return ifindex;
}

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
void nvi_set_untracked(struct sk_buff *skb)
{
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
}
#else
void nvi_set_untracked(struct sk_buff *skb)
{
}
#endif

#ifdef CONFIG_XPS
void nvi_set_reinjected(struct sk_buff *skb)
{
	skb->napi_id = NVI_NAPI_ID;
}

static bool was_reinjected(const struct sk_buff *skb)
{
	return skb->napi_id == NVI_NAPI_ID;
}
#else
void nvi_set_reinjected(struct sk_buff *skb)
{
}

/* Nothing would overwrite it: the hop limit has to end a loop. */
static bool was_reinjected(const struct sk_buff *skb)
{
	return false;
}
#endif

/*
 * Last in POSTROUTING: up to here the mark belongs to the user's rules. Whether
 * conntrack's confirm, of the same priority, comes before or after this depends
 * on who registered first; nothing here depends on it.
 */
static unsigned int nvi_postrouting(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	const struct net_device *in = state->in;
	struct nvi *nvi;
	u32 mask, ifindex;

	if (!is_nvi(state->out))
		return NF_ACCEPT;
	nvi = netdev_priv(state->out);
	if (was_reinjected(skb)) {
		local_bh_disable();
		nvi_count(nvi, NVI_DROP_LOOP);
		local_bh_enable();
		return NF_DROP;
	}
	if (READ_ONCE(nvi->source) == NVI_SOURCE_MARK)
		return NF_ACCEPT;

	/*
	 * The router's own packets may name a device too, a tunnel or the one
	 * that they leave by. Only those that were received have skb_iif, and
	 * what L2TP and PPTP wrap: they wrap the received skb itself.
	 */
	ifindex = in && in != state->out && skb->skb_iif ? in->ifindex : 0;
	mask = READ_ONCE(nvi->mark_mask);
	if (!mark_fits(mask, ifindex))
		ifindex = 0;
	skb->mark = mark_set(skb->mark, mask, ifindex);
	return NF_ACCEPT;
}

static const struct nf_hook_ops nvi_hooks[] = {
	{
		.hook		= nvi_postrouting,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= NF_IP_PRI_LAST,
	},
	{
		.hook		= nvi_postrouting,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= NF_IP6_PRI_LAST,
	},
};

int nvi_register_hooks(struct net *net)
{
	return nf_register_net_hooks(net, nvi_hooks, ARRAY_SIZE(nvi_hooks));
}

void nvi_unregister_hooks(struct net *net)
{
	nf_unregister_net_hooks(net, nvi_hooks, ARRAY_SIZE(nvi_hooks));
}
