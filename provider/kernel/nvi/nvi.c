// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvi: hands each packet that is sent to it back to the stack, as received on
 * the NIC that it came in on, so that it is routed a second time, by its
 * translated header. See README.md.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/sched/signal.h>
#include <linux/u64_stats_sync.h>
#include <net/dst_metadata.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/rtnetlink.h>
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
#include <net/netfilter/nf_conntrack.h>
#endif

#define NVI_DEFAULT_MASK	0x7fffffff	/* an ifindex has 31 bits */
#define NVI_DEFAULT_TUN_ID	78

/*
 * skb->napi_id tells where a packet was received. No NAPI instance has this
 * number, and every device that sends the packet on overwrites it: a packet
 * that carries it was re-injected by us and has not left the router since.
 */
#define NVI_NAPI_ID		UINT_MAX

enum nvi_reinject {
	NVI_REINJECT_INGRESS,
	NVI_REINJECT_SELF,
};

static const char * const reinject_names[] = {
	[NVI_REINJECT_INGRESS]	= "ingress",
	[NVI_REINJECT_SELF]	= "self",
};

enum nvi_source {
	NVI_SOURCE_PACKET,
	NVI_SOURCE_CONNECTION,
	NVI_SOURCE_MARK,
};

static const char * const source_names[] = {
	[NVI_SOURCE_PACKET]	= "packet",
	[NVI_SOURCE_CONNECTION]	= "connection",
	[NVI_SOURCE_MARK]	= "mark",
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

#define NVI_FIRST_DROP		NVI_DROP_NO_NIC
#define NVI_LAST_DROP		NVI_DROP_SHORT

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
};

struct nvi_net {
	unsigned int devices;			/* under rtnl */
};

static unsigned int nvi_net_id;
static const struct net_device_ops nvi_netdev_ops;

static bool is_nvi(const struct net_device *dev)
{
	return dev->netdev_ops == &nvi_netdev_ops;
}

/* Statistics */

/* The writer must not be interrupted by another one: bottom halves are off. */
static void count(struct nvi *nvi, enum nvi_counter which)
{
	struct nvi_stats *stats = this_cpu_ptr(nvi->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->counter[which]);
	u64_stats_update_end(&stats->syncp);
}

static void count_packet(struct nvi *nvi, unsigned int len)
{
	struct nvi_stats *stats = this_cpu_ptr(nvi->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->counter[NVI_PACKETS]);
	u64_stats_add(&stats->counter[NVI_BYTES], len);
	u64_stats_update_end(&stats->syncp);
}

static void sum_counters(const struct nvi *nvi, u64 *sum)
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

static void nvi_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *s)
{
	u64 sum[NVI_COUNTERS];
	int i;

	sum_counters(netdev_priv(dev), sum);
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
	sum_counters(netdev_priv(dev), data);
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

static const struct ethtool_ops nvi_ethtool_ops = {
	.get_link		= ethtool_op_get_link,
	.get_ts_info		= ethtool_op_get_ts_info,
	.get_strings		= nvi_get_strings,
	.get_sset_count		= nvi_get_sset_count,
	.get_ethtool_stats	= nvi_get_ethtool_stats,
};

/* Marks: a field of 32 bits, given by a contiguous mask */

static u32 field_get(u32 word, u32 mask)
{
	return (word & mask) >> __ffs(mask);
}

static u32 field_set(u32 word, u32 mask, u32 value)
{
	return (word & ~mask) | (value << __ffs(mask));
}

static bool field_fits(u32 mask, u32 value)
{
	return value <= mask >> __ffs(mask);
}

/* The ingress NIC */

#if IS_ENABLED(CONFIG_NF_CONNTRACK) && defined(CONFIG_NF_CONNTRACK_MARK)
/*
 * The mark of a connection has no lock, and the user's rules write to it too:
 * a packet of the same connection on another CPU may be first.
 */
static u32 store_ingress(struct nvi *nvi, struct nf_conn *ct, u32 mask,
			 u32 ifindex)
{
	u32 old, new;

	if (!field_fits(mask, ifindex)) {
		count(nvi, NVI_CTMARK_FULL);
		return ifindex;
	}
	do {
		old = READ_ONCE(ct->mark);
		if (old & mask)
			return field_get(old, mask);
		new = field_set(old, mask, ifindex);
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
	stored = field_get(READ_ONCE(ct->mark), mask);
	if (stored)
		return stored;
	if (CTINFO2DIR(ctinfo) != IP_CT_DIR_ORIGINAL)
		return ifindex;
	return store_ingress(nvi, ct, mask, ifindex);
}

static bool source_supported(enum nvi_source source)
{
	return true;
}
#else
static u32 connection_ingress(struct nvi *nvi, struct sk_buff *skb, u32 ifindex)
{
	return ifindex;
}

static bool source_supported(enum nvi_source source)
{
	return source != NVI_SOURCE_CONNECTION;
}
#endif

static u32 ingress_ifindex(struct nvi *nvi, struct sk_buff *skb)
{
	u32 mask = READ_ONCE(nvi->mark_mask);
	u32 ifindex = field_get(skb->mark, mask);

	if (!ifindex || READ_ONCE(nvi->source) != NVI_SOURCE_CONNECTION)
		return ifindex;
	ifindex = connection_ingress(nvi, skb, ifindex);
	if (field_fits(mask, ifindex))
		skb->mark = field_set(skb->mark, mask, ifindex);
	return ifindex;
}

#if defined(CONFIG_NET_RX_BUSY_POLL) || defined(CONFIG_XPS)
static void set_reinjected(struct sk_buff *skb)
{
	skb->napi_id = NVI_NAPI_ID;
}

static bool was_reinjected(const struct sk_buff *skb)
{
	return skb->napi_id == NVI_NAPI_ID;
}
#else
static void set_reinjected(struct sk_buff *skb)
{
}

/* Without napi_id a loop ends when the packet's hop limit does. */
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
		count(nvi, NVI_DROP_LOOP);
		local_bh_enable();
		return NF_DROP;
	}
	if (READ_ONCE(nvi->source) == NVI_SOURCE_MARK)
		return NF_ACCEPT;

	/* IPv6 names the device that the router's own packets leave by. */
	ifindex = in && in != state->out ? in->ifindex : 0;
	mask = READ_ONCE(nvi->mark_mask);
	if (!field_fits(mask, ifindex))
		ifindex = 0;
	skb->mark = field_set(skb->mark, mask, ifindex);
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

/* Transmission */

/* As if @dev had received it. NICs without an Ethernet header get none. */
static void set_device(struct sk_buff *skb, struct net_device *dev)
{
	__be16 protocol = eth_type_trans(skb, dev);

	skb_postpull_rcsum(skb, eth_hdr(skb), ETH_HLEN);
	if (dev->type != ARPHRD_ETHER)
		skb_reset_mac_header(skb);
	skb->protocol = protocol;
	/* It is for us, though it carries the MAC of the nvi device. */
	skb->pkt_type = PACKET_HOST;
}

/*
 * Forget what stage 1 found out about the packet, but not its mark and
 * priority. ip_rcv() routes again in spite of the metadata dst, which lives
 * for as long as a packet holds it: longer than the device, if need be.
 */
static void make_received(struct nvi *nvi, struct sk_buff *skb,
			  struct net_device *dev)
{
	struct metadata_dst *stage = rcu_dereference_bh(nvi->stage);

	skb_orphan(skb);
	skb_scrub_packet(skb, false);
	nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	skb->tstamp = 0;
	set_device(skb, dev);
	set_reinjected(skb);
	if (stage) {
		dst_hold(&stage->dst);
		skb_dst_set(skb, &stage->dst);
	}
}

static netdev_tx_t drop(struct nvi *nvi, struct sk_buff *skb,
			enum nvi_counter reason)
{
	count(nvi, reason);
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nvi *nvi = netdev_priv(dev);
	unsigned int len = skb->len;
	struct net_device *nic;

	skb_tx_timestamp(skb);
	if (unlikely(!pskb_may_pull(skb, ETH_HLEN)))
		return drop(nvi, skb, NVI_DROP_SHORT);
	nic = dev_get_by_index_rcu(dev_net(dev), ingress_ifindex(nvi, skb));
	if (unlikely(!nic))
		return drop(nvi, skb, NVI_DROP_NO_NIC);
	if (unlikely(is_nvi(nic)))
		return drop(nvi, skb, NVI_DROP_LOOP);
	if (unlikely(!(nic->flags & IFF_UP)))
		return drop(nvi, skb, NVI_DROP_NIC_DOWN);

	if (READ_ONCE(nvi->reinject) == NVI_REINJECT_SELF)
		nic = dev;
	make_received(nvi, skb, nic);
	if (likely(netif_rx(skb) == NET_RX_SUCCESS))
		count_packet(nvi, len);
	else
		count(nvi, NVI_DROP_BACKLOG);
	return NETDEV_TX_OK;
}

/* Settings: /sys/class/net/<device>/nvi/ */

static struct nvi *attr_to_nvi(struct device *d)
{
	return netdev_priv(to_net_dev(d));
}

/*
 * Removal of the device holds rtnl and waits for writers: so they must not wait
 * for rtnl.
 */
static ssize_t nvi_store(struct device *d, const char *buf, size_t len,
			 int (*set)(struct nvi *nvi, const char *buf))
{
	struct net_device *dev = to_net_dev(d);
	int err;

	if (!ns_capable(dev_net(dev)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (!rtnl_trylock())
		return restart_syscall();
	err = set(netdev_priv(dev), buf);
	rtnl_unlock();
	return err ?: len;
}

#define NVI_ATTR_RW(_name)						\
static ssize_t _name##_store(struct device *d,				\
			     struct device_attribute *attr,		\
			     const char *buf, size_t len)		\
{									\
	return nvi_store(d, buf, len, set_##_name);			\
}									\
static DEVICE_ATTR_RW(_name)

static int set_reinject(struct nvi *nvi, const char *buf)
{
	int i = sysfs_match_string(reinject_names, buf);

	if (i < 0)
		return i;
	WRITE_ONCE(nvi->reinject, i);
	return 0;
}

static ssize_t reinject_show(struct device *d, struct device_attribute *attr,
			     char *buf)
{
	enum nvi_reinject reinject = READ_ONCE(attr_to_nvi(d)->reinject);

	return sysfs_emit(buf, "%s\n", reinject_names[reinject]);
}

static int set_ingress(struct nvi *nvi, const char *buf)
{
	int i = sysfs_match_string(source_names, buf);

	if (i < 0)
		return i;
	if (!source_supported(i))
		return -EOPNOTSUPP;
	WRITE_ONCE(nvi->source, i);
	return 0;
}

static ssize_t ingress_show(struct device *d, struct device_attribute *attr,
			    char *buf)
{
	enum nvi_source source = READ_ONCE(attr_to_nvi(d)->source);

	return sysfs_emit(buf, "%s\n", source_names[source]);
}

static int set_mask(u32 *mask, const char *buf)
{
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	/* Contiguous: adding its lowest bit carries through all of it. */
	if (!value || (value & (value + (value & -value))))
		return -EINVAL;
	WRITE_ONCE(*mask, value);
	return 0;
}

static int set_mark_mask(struct nvi *nvi, const char *buf)
{
	return set_mask(&nvi->mark_mask, buf);
}

static ssize_t mark_mask_show(struct device *d, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "0x%08x\n", READ_ONCE(attr_to_nvi(d)->mark_mask));
}

static int set_ctmark_mask(struct nvi *nvi, const char *buf)
{
	return set_mask(&nvi->ctmark_mask, buf);
}

static ssize_t ctmark_mask_show(struct device *d, struct device_attribute *attr,
				char *buf)
{
	return sysfs_emit(buf, "0x%08x\n",
			  READ_ONCE(attr_to_nvi(d)->ctmark_mask));
}

static struct metadata_dst *alloc_stage(u64 tun_id)
{
	struct metadata_dst *stage;

	stage = metadata_dst_alloc(0, METADATA_IP_TUNNEL, GFP_KERNEL);
	if (stage)
		stage->u.tun_info.key.tun_id = cpu_to_be64(tun_id);
	return stage;
}

static void release_stage(struct metadata_dst *stage)
{
	if (stage)
		dst_release(&stage->dst);
}

static int set_tun_id(struct nvi *nvi, const char *buf)
{
	struct metadata_dst *stage = NULL, *old;
	u64 tun_id;
	int err;

	err = kstrtou64(buf, 0, &tun_id);
	if (err)
		return err;
	if (tun_id) {
		stage = alloc_stage(tun_id);
		if (!stage)
			return -ENOMEM;
	}
	old = rtnl_dereference(nvi->stage);
	rcu_assign_pointer(nvi->stage, stage);
	WRITE_ONCE(nvi->tun_id, tun_id);
	synchronize_net();	/* until then a packet may still take @old */
	release_stage(old);
	return 0;
}

static ssize_t tun_id_show(struct device *d, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(attr_to_nvi(d)->tun_id));
}

static ssize_t counter_show(struct device *d, struct device_attribute *attr,
			    char *buf)
{
	struct dev_ext_attribute *ext;
	u64 sum[NVI_COUNTERS];

	ext = container_of(attr, struct dev_ext_attribute, attr);
	sum_counters(attr_to_nvi(d), sum);
	return sysfs_emit(buf, "%llu\n", sum[(unsigned long)ext->var]);
}

#define NVI_ATTR_COUNTER(_name, _which)					\
static struct dev_ext_attribute dev_attr_##_name = {			\
	__ATTR(_name, 0444, counter_show, NULL), (void *)(_which)	\
}

NVI_ATTR_RW(reinject);
NVI_ATTR_RW(ingress);
NVI_ATTR_RW(mark_mask);
NVI_ATTR_RW(ctmark_mask);
NVI_ATTR_RW(tun_id);
NVI_ATTR_COUNTER(drop_no_nic, NVI_DROP_NO_NIC);
NVI_ATTR_COUNTER(drop_nic_down, NVI_DROP_NIC_DOWN);
NVI_ATTR_COUNTER(drop_loop, NVI_DROP_LOOP);
NVI_ATTR_COUNTER(drop_backlog, NVI_DROP_BACKLOG);
NVI_ATTR_COUNTER(drop_short, NVI_DROP_SHORT);
NVI_ATTR_COUNTER(ctmark_full, NVI_CTMARK_FULL);

static struct attribute *nvi_attrs[] = {
	&dev_attr_reinject.attr,
	&dev_attr_ingress.attr,
	&dev_attr_mark_mask.attr,
	&dev_attr_ctmark_mask.attr,
	&dev_attr_tun_id.attr,
	&dev_attr_drop_no_nic.attr.attr,
	&dev_attr_drop_nic_down.attr.attr,
	&dev_attr_drop_loop.attr.attr,
	&dev_attr_drop_backlog.attr.attr,
	&dev_attr_drop_short.attr.attr,
	&dev_attr_ctmark_full.attr.attr,
	NULL
};

static const struct attribute_group nvi_group = {
	.name	= "nvi",
	.attrs	= nvi_attrs,
};

/* Devices */

static int nvi_init(struct net_device *dev)
{
	struct nvi *nvi = netdev_priv(dev);
	struct metadata_dst *stage;

	nvi->stats = netdev_alloc_pcpu_stats(struct nvi_stats);
	if (!nvi->stats)
		return -ENOMEM;
	stage = alloc_stage(NVI_DEFAULT_TUN_ID);
	if (!stage)
		goto err_free_stats;
	rcu_assign_pointer(nvi->stage, stage);
	nvi->tun_id = NVI_DEFAULT_TUN_ID;
	nvi->mark_mask = NVI_DEFAULT_MASK;
	nvi->ctmark_mask = NVI_DEFAULT_MASK;
	return 0;

err_free_stats:
	free_percpu(nvi->stats);
	return -ENOMEM;
}

static void nvi_free(struct net_device *dev)
{
	struct nvi *nvi = netdev_priv(dev);

	release_stage(rcu_dereference_protected(nvi->stage, true));
	free_percpu(nvi->stats);
}

static const struct net_device_ops nvi_netdev_ops = {
	.ndo_init		= nvi_init,
	.ndo_start_xmit		= nvi_xmit,
	.ndo_get_stats64	= nvi_get_stats64,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};

static void set_features(struct net_device *dev)
{
	dev->features |= NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM |
			 NETIF_F_RXCSUM | NETIF_F_SCTP_CRC | NETIF_F_HIGHDMA |
			 NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL;
	dev->hw_features |= dev->features;
	dev->hw_enc_features |= dev->features;
	dev->features |= NETIF_F_VLAN_CHALLENGED;
#ifdef NVI_HAVE_LLTX
	dev->lltx = true;
#else
	dev->features |= NETIF_F_LLTX;
#endif
#ifdef NVI_HAVE_TSO_MAX_SIZE
	netif_set_tso_max_size(dev, GSO_MAX_SIZE);
#endif
}

static void nvi_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->mtu = ETH_MAX_MTU;
	dev->max_mtu = ETH_MAX_MTU;
	/* With POINTOPOINT, IPv4 has one neighbour for all destinations. */
	dev->flags |= IFF_NOARP | IFF_POINTOPOINT;
	dev->flags &= ~(IFF_BROADCAST | IFF_MULTICAST);
	dev->priv_flags |= IFF_NO_QUEUE | IFF_LIVE_ADDR_CHANGE;
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->netdev_ops = &nvi_netdev_ops;
	dev->ethtool_ops = &nvi_ethtool_ops;
	dev->sysfs_groups[0] = &nvi_group;
	dev->needs_free_netdev = true;
	dev->priv_destructor = nvi_free;
	set_features(dev);
	eth_hw_addr_random(dev);
}

static int nvi_validate(struct nlattr *tb[], struct nlattr *data[],
			struct netlink_ext_ack *extack)
{
	if (!tb[IFLA_ADDRESS])
		return 0;
	if (nla_len(tb[IFLA_ADDRESS]) != ETH_ALEN)
		return -EINVAL;
	if (!is_valid_ether_addr(nla_data(tb[IFLA_ADDRESS])))
		return -EADDRNOTAVAIL;
	return 0;
}

static struct rtnl_link_ops nvi_link_ops __read_mostly = {
	.kind		= "nvi",
	.priv_size	= sizeof(struct nvi),
	.setup		= nvi_setup,
	.validate	= nvi_validate,
};

/* Namespaces: those without an nvi device have no hook */

static int nvi_device_added(struct net *net)
{
	struct nvi_net *nn = net_generic(net, nvi_net_id);
	int err;

	if (!nn->devices) {
		err = nf_register_net_hooks(net, nvi_hooks,
					    ARRAY_SIZE(nvi_hooks));
		if (err)
			return err;
	}
	nn->devices++;
	return 0;
}

/* Also called for a device whose addition failed. */
static void nvi_device_removed(struct net *net)
{
	struct nvi_net *nn = net_generic(net, nvi_net_id);

	if (nn->devices && !--nn->devices)
		nf_unregister_net_hooks(net, nvi_hooks, ARRAY_SIZE(nvi_hooks));
}

/* A device that moves to another namespace is unregistered and registered. */
static int nvi_netdev_event(struct notifier_block *nb, unsigned long event,
			    void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);

	if (!is_nvi(dev))
		return NOTIFY_DONE;
	if (event == NETDEV_REGISTER)
		return notifier_from_errno(nvi_device_added(dev_net(dev)));
	if (event == NETDEV_UNREGISTER)
		nvi_device_removed(dev_net(dev));
	return NOTIFY_DONE;
}

static struct notifier_block nvi_notifier = {
	.notifier_call = nvi_netdev_event,
};

/* A subsystem, not a device: it outlives the devices of its namespace. */
static struct pernet_operations nvi_net_ops = {
	.id	= &nvi_net_id,
	.size	= sizeof(struct nvi_net),
};

static int __init nvi_module_init(void)
{
	int err;

	err = register_pernet_subsys(&nvi_net_ops);
	if (err)
		return err;
	err = register_netdevice_notifier(&nvi_notifier);
	if (err)
		goto err_pernet;
	err = rtnl_link_register(&nvi_link_ops);
	if (err)
		goto err_notifier;
	return 0;

err_notifier:
	unregister_netdevice_notifier(&nvi_notifier);
err_pernet:
	unregister_pernet_subsys(&nvi_net_ops);
	return err;
}

static void __exit nvi_module_exit(void)
{
	rtnl_link_unregister(&nvi_link_ops);
	unregister_netdevice_notifier(&nvi_notifier);
	unregister_pernet_subsys(&nvi_net_ops);
	synchronize_net();	/* the last packet leaves the hook */
}

module_init(nvi_module_init);
module_exit(nvi_module_exit);
MODULE_DESCRIPTION("NAT virtual interface: routes translated packets again");
MODULE_VERSION("0.1.0");
MODULE_LICENSE("GPL");
MODULE_ALIAS_RTNL_LINK("nvi");
