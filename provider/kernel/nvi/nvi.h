/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NVI_H
#define NVI_H

#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/sysfs.h>
#include <linux/u64_stats_sync.h>
#include <net/dst_metadata.h>

enum nvi_reinject {
	NVI_REINJECT_INGRESS,
	NVI_REINJECT_SELF,
};

enum nvi_source {
	NVI_SOURCE_PACKET,
	NVI_SOURCE_CONNECTION,
	NVI_SOURCE_MARK,
};

enum nvi_counter {
	NVI_PACKETS,
	NVI_BYTES,
	NVI_DROP_NO_NIC,
	NVI_DROP_NIC_DOWN,
	NVI_DROP_LOOP,
	NVI_DROP_BACKLOG,
	NVI_DROP_SHORT,
	NVI_CTMARK_FULL,
	NVI_COUNTERS
};

#define NVI_FIRST_DROP	NVI_DROP_NO_NIC
#define NVI_LAST_DROP	NVI_DROP_SHORT

struct nvi_stats {
	u64_stats_t counter[NVI_COUNTERS];
	struct u64_stats_sync syncp;
};

/* Settings change under rtnl; packets read them without a lock. */
struct nvi {
	enum nvi_reinject reinject;
	enum nvi_source source;
	u32 mark_mask;
	u32 ctmark_mask;
	u64 tun_id;
	struct metadata_dst __rcu *stage;	/* NULL if tun_id is 0 */
	struct nvi_stats __percpu *stats;
	bool counted;				/* by its namespace, which has the hook then */
};

/* main.c */
bool is_nvi(const struct net_device *dev);
int nvi_set_tun_id(struct nvi *nvi, u64 tun_id);

/* ingress.c */
bool nvi_source_supported(enum nvi_source source);
u32 nvi_ingress_ifindex(struct nvi *nvi, struct sk_buff *skb);
void nvi_set_untracked(struct sk_buff *skb);
void nvi_set_reinjected(struct sk_buff *skb);
int nvi_register_hooks(struct net *net);
void nvi_unregister_hooks(struct net *net);

/* stats.c */
extern const struct ethtool_ops nvi_ethtool_ops;
void nvi_count(struct nvi *nvi, enum nvi_counter which);
void nvi_count_packet(struct nvi *nvi, unsigned int len);
void nvi_sum_counters(const struct nvi *nvi, u64 *sum);
void nvi_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *s);

/* sysfs.c */
extern const struct attribute_group nvi_group;

#endif
