//! Random recipes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::NAMES;

#[derive(Debug, Clone, Copy)]
pub(super) enum KindRecipe {
    None,
    Bridge { filtering: bool },
    Dummy,
    Vxlan { parent: usize, local: u8, flags: u8 },
    MacVlan { parent: usize, private: bool },
    Veth { peer: usize },
}

#[derive(Debug, Clone)]
pub(super) struct LinkRecipe {
    pub(super) kind: KindRecipe,
    pub(super) small_mtu: bool,
    pub(super) mac: u8,
    pub(super) up: bool,
    pub(super) promisc: bool,
    pub(super) alias: u8,
    pub(super) master: Option<usize>,
    pub(super) hairpin: bool,
    pub(super) isolated: bool,
    pub(super) vlans: Vec<(u16, u16, bool)>,
    pub(super) sysctl: bool,
    pub(super) addrs: Vec<(bool, u8, u8, bool)>,
    pub(super) neighs: Vec<(u8, u8)>,
}

#[derive(Debug, Clone)]
pub(super) struct RouteRecipe {
    pub(super) link: usize,
    pub(super) dst: u8,
    pub(super) v6: bool,
    pub(super) via: bool,
    pub(super) src: bool,
    pub(super) metric: Option<u32>,
    pub(super) mtu: Option<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Recipe {
    pub(super) links: Vec<LinkRecipe>,
    pub(super) routes: Vec<RouteRecipe>,
    pub(super) rules: Vec<(u8, u8)>,
    pub(super) forward: bool,
    pub(super) table: Option<u8>,
    pub(super) elements: Vec<(u8, u8)>,
}

pub(super) fn recipes() -> impl Strategy<Value = Recipe> {
    let links = vec(link_recipes(), NAMES.len());
    let elements = vec((0..4u8, 0..3u8), 0..4);
    let rules = vec((0..3u8, 0..2u8), 0..2);
    (links, vec(route_recipes(), 0..5), rules, any::<bool>(), option::of(0..2u8), elements)
        .prop_map(|(links, routes, rules, forward, table, elements)| Recipe {
            links,
            routes,
            rules,
            forward,
            table,
            elements,
        })
}

fn kind_recipes() -> impl Strategy<Value = KindRecipe> {
    prop_oneof![
        2 => Just(KindRecipe::None),
        2 => any::<bool>().prop_map(|filtering| KindRecipe::Bridge { filtering }),
        1 => Just(KindRecipe::Dummy),
        2 => (0..NAMES.len(), 0..4u8, 0..32u8)
            .prop_map(|(parent, local, flags)| KindRecipe::Vxlan { parent, local, flags }),
        2 => (0..NAMES.len(), any::<bool>())
            .prop_map(|(parent, private)| KindRecipe::MacVlan { parent, private }),
        4 => (0..NAMES.len()).prop_map(|peer| KindRecipe::Veth { peer }),
    ]
}

fn link_recipes() -> impl Strategy<Value = LinkRecipe> {
    let plain =
        (prop::bool::weighted(0.1), 0..3u8, prop::bool::weighted(0.8), any::<bool>(), 0..2u8);
    let port = (option::of(0..4usize), any::<bool>(), any::<bool>());
    let vlans = vec((1..6u16, 0..3u16, any::<bool>()), 0..3);
    let addrs = vec((any::<bool>(), 0..2u8, 1..4u8, prop::bool::weighted(0.2)), 0..4);
    (kind_recipes(), plain, port, vlans, any::<bool>(), addrs, vec((0..2u8, 0..2u8), 0..2))
        .prop_map(|(kind, plain, port, vlans, sysctl, addrs, neighs)| {
            let (small_mtu, mac, up, promisc, alias) = plain;
            let (master, hairpin, isolated) = port;
            LinkRecipe {
                kind,
                small_mtu,
                mac,
                up,
                promisc,
                alias,
                master,
                hairpin,
                isolated,
                vlans,
                sysctl,
                addrs,
                neighs,
            }
        })
}

fn route_recipes() -> impl Strategy<Value = RouteRecipe> {
    let metric = option::of(prop_oneof![Just(10u32), Just(20u32)]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..NAMES.len(), 0..3u8, flags, metric, option::of(Just(1300u32))).prop_map(
        |(link, dst, (v6, via, src), metric, mtu)| RouteRecipe {
            link,
            dst,
            v6,
            via,
            src,
            metric,
            mtu,
        },
    )
}
