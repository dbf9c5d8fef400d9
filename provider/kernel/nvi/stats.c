// SPDX-License-Identifier: GPL-2.0-only
/* Counters, one set for each CPU */
#include <linux/ethtool.h>

#include "nvi.h"

static const char counter_names[][ETH_GSTRING_LEN] = {
	[NVI_PACKETS]		= "packets",
	[NVI_BYTES]		= "bytes",
	[NVI_DROP_NO_NIC]	= "drop_no_nic",
	[NVI_DROP_NIC_DOWN]	= "drop_nic_down",
	[NVI_DROP_LOOP]		= "drop_loop",
	[NVI_DROP_BACKLOG]	= "drop_backlog",
	[NVI_DROP_SHORT]	= "drop_short",
	[NVI_CTMARK_FULL]	= "ctmark_full",
};

/* The writer must not be interrupted by another one: bottom halves are off. */
void nvi_count(struct nvi *nvi, enum nvi_counter which)
{
	struct nvi_stats *stats = this_cpu_ptr(nvi->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->counter[which]);
	u64_stats_update_end(&stats->syncp);
}

void nvi_count_packet(struct nvi *nvi, unsigned int len)
{
	struct nvi_stats *stats = this_cpu_ptr(nvi->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->counter[NVI_PACKETS]);
	u64_stats_add(&stats->counter[NVI_BYTES], len);
	u64_stats_update_end(&stats->syncp);
}

void nvi_sum_counters(const struct nvi *nvi, u64 *sum)
{
	u64 one[NVI_COUNTERS];
	unsigned int start;
	int cpu, i;

	memset(sum, 0, sizeof(one));
	for_each_possible_cpu(cpu) {
		const struct nvi_stats *stats = per_cpu_ptr(nvi->stats, cpu);

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			for (i = 0; i < NVI_COUNTERS; i++)
				one[i] = u64_stats_read(&stats->counter[i]);
		} while (u64_stats_fetch_retry(&stats->syncp, start));
		for (i = 0; i < NVI_COUNTERS; i++)
			sum[i] += one[i];
	}
}

void nvi_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *s)
{
	u64 sum[NVI_COUNTERS];
	int i;

	nvi_sum_counters(netdev_priv(dev), sum);
	s->rx_packets = sum[NVI_PACKETS];
	s->tx_packets = sum[NVI_PACKETS];
	s->rx_bytes = sum[NVI_BYTES];
	s->tx_bytes = sum[NVI_BYTES];
	for (i = NVI_FIRST_DROP; i <= NVI_LAST_DROP; i++)
		s->tx_dropped += sum[i];
}

static void nvi_get_ethtool_stats(struct net_device *dev,
				  struct ethtool_stats *stats, u64 *data)
{
	nvi_sum_counters(netdev_priv(dev), data);
}

static void nvi_get_strings(struct net_device *dev, u32 set, u8 *data)
{
	if (set == ETH_SS_STATS)
		memcpy(data, counter_names, sizeof(counter_names));
}

static int nvi_get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? NVI_COUNTERS : -EOPNOTSUPP;
}

static void nvi_get_drvinfo(struct net_device *dev,
			    struct ethtool_drvinfo *info)
{
	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
}

const struct ethtool_ops nvi_ethtool_ops = {
	.get_drvinfo		= nvi_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_ts_info		= ethtool_op_get_ts_info,
	.get_strings		= nvi_get_strings,
	.get_sset_count		= nvi_get_sset_count,
	.get_ethtool_stats	= nvi_get_ethtool_stats,
};
