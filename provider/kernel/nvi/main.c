// SPDX-License-Identifier: GPL-2.0-only
/*
 * nvi: hands each packet that is sent to it back to the stack, as received on
 * the NIC that it came in on, so that it is routed a second time, by its
 * translated header. See README.md.
 */
#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/skbuff.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/rtnetlink.h>

#include "nvi.h"

#define NVI_DEFAULT_MASK	0x7fffffff	/* an ifindex has 31 bits */
#define NVI_DEFAULT_TUN_ID	78

struct nvi_net {
	unsigned int devices;			/* under rtnl */
};

static unsigned int nvi_net_id;
static const struct net_device_ops nvi_netdev_ops;

bool is_nvi(const struct net_device *dev)
{
	return dev->netdev_ops == &nvi_netdev_ops;
}

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
 * The NIC's taps, tc and nft ingress had the packet when it came. Who redirects
 * it would do so for ever, and by way of an ifb it would come back tracked.
 */
static void skip_tc(struct sk_buff *skb)
{
#ifdef CONFIG_NET_CLS_ACT
	skb->tc_skip_classify = 1;
#endif
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
	u32 mark = skb->mark;

	skb_orphan(skb);
	/* As between namespaces: when it came is forgotten, when to send is not. */
	skb_scrub_packet(skb, true);
	skb->mark = mark;
	skb_set_queue_mapping(skb, 0);	/* of ours, not of the NIC's */
	nvi_set_untracked(skb);
	set_device(skb, dev);
	if (!is_nvi(dev))
		skip_tc(skb);
	nvi_set_reinjected(skb);
	if (stage) {
		dst_hold(&stage->dst);
		skb_dst_set(skb, &stage->dst);
	}
}

static netdev_tx_t drop(struct nvi *nvi, struct sk_buff *skb,
			enum nvi_counter reason)
{
	nvi_count(nvi, reason);
	kfree_skb(skb);
	return NETDEV_TX_OK;
}

static netdev_tx_t nvi_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nvi *nvi = netdev_priv(dev);
	unsigned int len = skb->len;
	struct net_device *nic = dev;
	u32 ifindex;

	skb_tx_timestamp(skb);
	if (unlikely(!pskb_may_pull(skb, ETH_HLEN)))
		return drop(nvi, skb, NVI_DROP_SHORT);
	/* A device moves to another namespace even if the hook can't. */
	if (unlikely(!READ_ONCE(nvi->counted)))
		return drop(nvi, skb, NVI_DROP_NO_NIC);
	ifindex = nvi_ingress_ifindex(nvi, skb);
	/* As the nvi device itself, the NIC is no more than what the mark says. */
	if (READ_ONCE(nvi->reinject) == NVI_REINJECT_INGRESS) {
		nic = dev_get_by_index_rcu(dev_net(dev), ifindex);
		if (unlikely(!nic))
			return drop(nvi, skb, NVI_DROP_NO_NIC);
		if (unlikely(is_nvi(nic)))
			return drop(nvi, skb, NVI_DROP_LOOP);
		if (unlikely(!(nic->flags & IFF_UP)))
			return drop(nvi, skb, NVI_DROP_NIC_DOWN);
	}
	make_received(nvi, skb, nic);
	if (likely(netif_rx(skb) == NET_RX_SUCCESS))
		nvi_count_packet(nvi, len);
	else
		nvi_count(nvi, NVI_DROP_BACKLOG);
	return NETDEV_TX_OK;
}

static struct metadata_dst *alloc_stage(u64 tun_id)
{
	struct metadata_dst *stage;
	struct dst_metrics *metrics;

	stage = metadata_dst_alloc(sizeof(*metrics), METADATA_IP_TUNNEL,
				   GFP_KERNEL);
	if (!stage)
		return NULL;
	/*
	 * nf_send_reset() asks any dst for its hop limit, and one without asks
	 * its device, which this one lacks. The metrics go with the dst.
	 */
	metrics = (struct dst_metrics *)(stage + 1);
	metrics->metrics[RTAX_HOPLIMIT - 1] = IPDEFTTL;
	dst_init_metrics(&stage->dst, metrics->metrics, true);
	stage->u.tun_info.key.tun_id = cpu_to_be64(tun_id);
	return stage;
}

static void release_stage(struct metadata_dst *stage)
{
	if (stage)
		dst_release(&stage->dst);
}

int nvi_set_tun_id(struct nvi *nvi, u64 tun_id)
{
	struct metadata_dst *old = rtnl_dereference(nvi->stage), *stage = NULL;

	if (tun_id) {
		stage = alloc_stage(tun_id);
		if (!stage)
			return -ENOMEM;
	}
	rcu_assign_pointer(nvi->stage, stage);
	WRITE_ONCE(nvi->tun_id, tun_id);
	if (old)
		synchronize_net();	/* a packet may be about to hold it */
	release_stage(old);
	return 0;
}

static int nvi_init(struct net_device *dev)
{
	struct nvi *nvi = netdev_priv(dev);
	int err;

	nvi->mark_mask = NVI_DEFAULT_MASK;
	nvi->ctmark_mask = NVI_DEFAULT_MASK;
	nvi->stats = netdev_alloc_pcpu_stats(struct nvi_stats);
	if (!nvi->stats)
		return -ENOMEM;
	err = nvi_set_tun_id(nvi, NVI_DEFAULT_TUN_ID);
	if (err)
		free_percpu(nvi->stats);
	return err;
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
			 NETIF_F_GSO_SOFTWARE | NETIF_F_GSO_ENCAP_ALL |
			 NETIF_F_GSO_UDP_L4 | NETIF_F_GSO_FRAGLIST;
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

static int nvi_device_added(struct net_device *dev)
{
	struct nvi_net *nn = net_generic(dev_net(dev), nvi_net_id);
	struct nvi *nvi = netdev_priv(dev);
	int err;

	if (!nn->devices) {
		err = nvi_register_hooks(dev_net(dev));
		if (err)
			return err;
	}
	nn->devices++;
	WRITE_ONCE(nvi->counted, true);
	return 0;
}

/*
 * Also called for a device that another notifier has refused, and once more
 * each second for one that somebody still holds.
 */
static void nvi_device_removed(struct net_device *dev)
{
	struct nvi_net *nn = net_generic(dev_net(dev), nvi_net_id);
	struct nvi *nvi = netdev_priv(dev);

	if (!nvi->counted)
		return;
	WRITE_ONCE(nvi->counted, false);
	if (!--nn->devices)
		nvi_unregister_hooks(dev_net(dev));
}

/* A device that moves to another namespace is unregistered and registered. */
static int nvi_netdev_event(struct notifier_block *nb, unsigned long event,
			    void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);

	if (!is_nvi(dev))
		return NOTIFY_DONE;
	if (event == NETDEV_REGISTER)
		return notifier_from_errno(nvi_device_added(dev));
	if (event == NETDEV_UNREGISTER)
		nvi_device_removed(dev);
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
