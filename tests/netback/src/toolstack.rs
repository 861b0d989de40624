//! What the toolstack does for a vif: the nodes that exist before either end starts.

use xen_abi::xenbus::XenbusState;

use crate::config::Config;
use crate::host::Store;

/// The backend's directory.
pub fn backend_dir(config: &Config) -> String {
    format!(
        "/local/domain/{}/backend/vif/{}/{}",
        config.backend, config.frontend, config.handle
    )
}

/// The frontend's directory, which the guest owns.
pub fn frontend_dir(config: &Config) -> String {
    format!(
        "/local/domain/{}/device/vif/{}",
        config.frontend, config.handle
    )
}

/// Where a failed connection is explained.
pub fn error_node(config: &Config) -> String {
    format!(
        "/local/domain/{}/error/backend/vif/{}/{}/error",
        config.backend, config.frontend, config.handle
    )
}

/// A MAC address in XenStore's form.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Writes both directories, as libxl does; both states Initialising. The guest must be given rights on
/// the frontend's directory by whoever owns the store.
pub fn publish<S: Store>(store: &mut S, config: &Config) {
    let (back, front) = (backend_dir(config), frontend_dir(config));
    let mac = mac_text(config.mac);
    let initialising = XenbusState::INITIALISING.0.to_string();
    let nodes = [
        (&back, "frontend", front.clone()),
        (&back, "frontend-id", config.frontend.to_string()),
        (&back, "online", "1".into()),
        (&back, "handle", config.handle.to_string()),
        (&back, "mac", mac.clone()),
        (&back, "mtu", config.mtu.to_string()),
        (&back, "state", initialising.clone()),
        (&front, "backend", back.clone()),
        (&front, "backend-id", config.backend.to_string()),
        (&front, "handle", config.handle.to_string()),
        (&front, "mac", mac),
        (&front, "mtu", config.mtu.to_string()),
        (&front, "state", initialising),
    ];
    for (dir, key, value) in nodes {
        store.write(&format!("{dir}/{key}"), &value);
    }
}

/// The hotplug script is done: a backend that waits for it may go to Connected.
pub fn hotplug_done<S: Store>(store: &mut S, config: &Config) {
    store.write(
        &format!("{}/hotplug-status", backend_dir(config)),
        "connected",
    );
}

/// Asks for an orderly unplug: `online` = 0 and the backend's state Closing.
pub fn unplug<S: Store>(store: &mut S, config: &Config) {
    let back = backend_dir(config);
    store.write(&format!("{back}/online"), "0");
    store.write(
        &format!("{back}/state"),
        &XenbusState::CLOSING.0.to_string(),
    );
}

/// Removes both directories, as after an unplug or a forced destroy.
pub fn withdraw<S: Store>(store: &mut S, config: &Config) {
    store.rm(&frontend_dir(config));
    store.rm(&backend_dir(config));
}
