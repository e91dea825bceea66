//! Networks of one host, without a cluster: what `netd network` makes, shows, keeps and removes.

mod attach;
mod attach_life;
mod attach_outside;
mod attach_policy;
mod attach_routes;
mod connect;
mod cut;
mod cut_networks;
mod direct;
mod docker;
mod docker_beside;
mod docker_connect;
mod families;
mod gone;
mod life;
mod names;
mod objects;
mod podman_flags;
mod pools;
mod ports;
mod ports_move;
mod repair;
mod rows;
mod runtime_names;
mod runtimes;
mod site;
