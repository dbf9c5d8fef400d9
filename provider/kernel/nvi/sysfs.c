// SPDX-License-Identifier: GPL-2.0-only
/* Settings and counters of a device: /sys/class/net/<device>/nvi/ */
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>
#include <net/net_namespace.h>

#include "nvi.h"

static const char * const reinject_names[] = {
	[NVI_REINJECT_INGRESS]	= "ingress",
	[NVI_REINJECT_SELF]	= "self",
};

static const char * const source_names[] = {
	[NVI_SOURCE_PACKET]	= "packet",
	[NVI_SOURCE_CONNECTION]	= "connection",
	[NVI_SOURCE_MARK]	= "mark",
};

static struct nvi *to_nvi(struct device *d)
{
	return netdev_priv(to_net_dev(d));
}

static ssize_t store(struct device *d, const char *buf, size_t len,
		     int (*set)(struct nvi *nvi, const char *buf))
{
	struct net_device *dev = to_net_dev(d);
	int err;

	if (!ns_capable(dev_net(dev)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	/* Who removes the device holds rtnl and waits for this to end. */
	if (!rtnl_trylock())
		return restart_syscall();
	err = set(netdev_priv(dev), buf);
	rtnl_unlock();
	return err ?: len;
}

#define NVI_SETTING(_name, _format, _value)				\
static ssize_t _name##_show(struct device *d,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct nvi *nvi = to_nvi(d);					\
									\
	return sysfs_emit(buf, _format "\n", _value);			\
}									\
									\
static ssize_t _name##_store(struct device *d,				\
			     struct device_attribute *attr,		\
			     const char *buf, size_t len)		\
{									\
	return store(d, buf, len, set_##_name);				\
}									\
static DEVICE_ATTR_RW(_name)

#define NVI_COUNTER(_name, _which)					\
static ssize_t _name##_show(struct device *d,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	u64 sum[NVI_COUNTERS];						\
									\
	nvi_sum_counters(to_nvi(d), sum);				\
	return sysfs_emit(buf, "%llu\n", sum[_which]);			\
}									\
static DEVICE_ATTR_RO(_name)

static int set_reinject(struct nvi *nvi, const char *buf)
{
	int i = sysfs_match_string(reinject_names, buf);

	if (i < 0)
		return i;
	WRITE_ONCE(nvi->reinject, i);
	return 0;
}

static int set_ingress(struct nvi *nvi, const char *buf)
{
	int i = sysfs_match_string(source_names, buf);

	if (i < 0)
		return i;
	if (!nvi_source_supported(i))
		return -EOPNOTSUPP;
	WRITE_ONCE(nvi->source, i);
	return 0;
}

static int set_mask(u32 *mask, const char *buf)
{
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	/* Adding the lowest bit of contiguous bits carries through them all. */
	if (!value || (value & (value + (value & -value))))
		return -EINVAL;
	WRITE_ONCE(*mask, value);
	return 0;
}

static int set_mark_mask(struct nvi *nvi, const char *buf)
{
	return set_mask(&nvi->mark_mask, buf);
}

static int set_ctmark_mask(struct nvi *nvi, const char *buf)
{
	return set_mask(&nvi->ctmark_mask, buf);
}

static int set_tun_id(struct nvi *nvi, const char *buf)
{
	u64 tun_id;

	return kstrtou64(buf, 0, &tun_id) ?: nvi_set_tun_id(nvi, tun_id);
}

NVI_SETTING(reinject, "%s", reinject_names[READ_ONCE(nvi->reinject)]);
NVI_SETTING(ingress, "%s", source_names[READ_ONCE(nvi->source)]);
NVI_SETTING(mark_mask, "0x%08x", READ_ONCE(nvi->mark_mask));
NVI_SETTING(ctmark_mask, "0x%08x", READ_ONCE(nvi->ctmark_mask));
NVI_SETTING(tun_id, "%llu", READ_ONCE(nvi->tun_id));
NVI_COUNTER(drop_no_nic, NVI_DROP_NO_NIC);
NVI_COUNTER(drop_nic_down, NVI_DROP_NIC_DOWN);
NVI_COUNTER(drop_loop, NVI_DROP_LOOP);
NVI_COUNTER(drop_backlog, NVI_DROP_BACKLOG);
NVI_COUNTER(drop_short, NVI_DROP_SHORT);
NVI_COUNTER(ctmark_full, NVI_CTMARK_FULL);

static struct attribute *nvi_attrs[] = {
	&dev_attr_reinject.attr,
	&dev_attr_ingress.attr,
	&dev_attr_mark_mask.attr,
	&dev_attr_ctmark_mask.attr,
	&dev_attr_tun_id.attr,
	&dev_attr_drop_no_nic.attr,
	&dev_attr_drop_nic_down.attr,
	&dev_attr_drop_loop.attr,
	&dev_attr_drop_backlog.attr,
	&dev_attr_drop_short.attr,
	&dev_attr_ctmark_full.attr,
	NULL
};

const struct attribute_group nvi_group = {
	.name	= "nvi",
	.attrs	= nvi_attrs,
};
