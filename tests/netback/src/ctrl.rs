//! The control ring (1.5, 2.4): one request at a time, in order.

use xen_abi::netif::{
    CtrlStatus, CtrlType, XEN_NETIF_CTRL_HASH_ALGORITHM_NONE,
    XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ,
};

use crate::hash::{FLAGS, KEY_MAX, MAPPING_MAX};
use crate::host::{Host, SharedPage};
use crate::hostile::Attack;
use crate::queue::Port;
use crate::ring::BackRing;
use crate::rule::Rule;
use crate::vif::Netback;

/// What stands for the control ring where a rule names a queue.
const CTRL: u16 = u16::MAX;

#[derive(Debug)]
pub(crate) struct Ctrl<P> {
    pub(crate) ring: BackRing<P>,
    pub(crate) port: Port,
    pub(crate) broken: bool,
}

/// How slow and how unwilling the control ring is.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CtrlManner {
    /// From a notification to the answers.
    pub(crate) delay_ns: u64,
    /// When the requests of a notification that came are served.
    pub(crate) ready_ns: Option<u64>,
    /// Requests served before all are refused.
    pub(crate) refuse_after: Option<u32>,
}

impl CtrlManner {
    /// Whether the next request is refused.
    fn refuses(&mut self) -> bool {
        match &mut self.refuse_after {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

/// Status and data of an answer.
pub(crate) type Answer = (CtrlStatus, u32);

const INVALID: Answer = (CtrlStatus::INVALID_PARAMETER, 0);
const UNSUPPORTED: Answer = (CtrlStatus::NOT_SUPPORTED, 0);
const SUCCESS: Answer = (CtrlStatus::SUCCESS, 0);

impl<P: SharedPage> Netback<P> {
    /// Serves the control ring if its event came.
    pub(crate) fn ctrl_action<H: Host<Page = P>>(&mut self, host: &mut H) -> bool {
        let patience = self.config.timeouts.notify_patience_ns;
        let Some(ctrl) = &mut self.ctrl else {
            self.ctrl_manner.ready_ns = None;
            return false;
        };
        if let Some(ready_ns) = self.ctrl_manner.ready_ns {
            if self.now_ns < ready_ns {
                return false;
            }
            self.ctrl_manner.ready_ns = None;
            while self.ctrl_request(host) {}
            return true;
        }
        if !host.take_pending(ctrl.port.number) {
            if ctrl.ring.notification_overdue(self.now_ns, patience) {
                self.broken(CTRL, Rule::NotifyMissing(CTRL));
            }
            return false;
        }
        self.counters.events += 1;
        if !ctrl.ring.credit_event() && !ctrl.port.forgive() {
            self.counters.events_spurious += 1;
            self.broken(CTRL, Rule::NotifyUnasked(CTRL));
        }
        if self.ctrl_manner.delay_ns > 0 {
            self.ctrl_manner.ready_ns = Some(self.now_ns + self.ctrl_manner.delay_ns);
            return true;
        }
        while self.ctrl_request(host) {}
        true
    }

    /// Serves one request; false when there is none.
    fn ctrl_request<H: Host<Page = P>>(&mut self, host: &mut H) -> bool {
        let Some(ctrl) = self.ctrl.as_mut().filter(|c| !c.broken) else {
            return false;
        };
        match ctrl.ring.unconsumed() {
            Ok(0) => return ctrl.ring.final_check(),
            Ok(_) => {}
            Err(over) => {
                ctrl.broken = true;
                self.broken(CTRL, Rule::CtrlRingOverflow(over.0));
                return false;
            }
        }
        let [id_type, a, b, c] = ctrl.ring.words::<4>(ctrl.ring.req_cons);
        ctrl.ring.req_cons = ctrl.ring.req_cons.wrapping_add(1);
        self.counters.ctrl_requests += 1;
        let kind = CtrlType((id_type >> 16) as u16);
        let (status, data) = if self.ctrl_manner.refuses() {
            INVALID
        } else {
            self.ctrl_process(host, kind, [a, b, c])
        };
        if status != CtrlStatus::SUCCESS {
            self.counters.ctrl_errors += 1;
        }
        self.ctrl_respond(host, id_type, status.0, data);
        true
    }

    fn ctrl_process<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        kind: CtrlType,
        data: [u32; 3],
    ) -> Answer {
        let none = self.hash.algorithm == XEN_NETIF_CTRL_HASH_ALGORITHM_NONE;
        match kind {
            CtrlType::GET_HASH_FLAGS if none => UNSUPPORTED,
            CtrlType::GET_HASH_FLAGS => (CtrlStatus::SUCCESS, FLAGS),
            CtrlType::SET_HASH_FLAGS if none || data[0] & !FLAGS != 0 => INVALID,
            CtrlType::SET_HASH_FLAGS => {
                self.hash.flags = data[0];
                SUCCESS
            }
            CtrlType::SET_HASH_KEY => self.set_key(host, data[0], data[1]),
            CtrlType::GET_HASH_MAPPING_SIZE => (CtrlStatus::SUCCESS, MAPPING_MAX as u32),
            CtrlType::SET_HASH_MAPPING_SIZE if data[0] as usize > MAPPING_MAX => INVALID,
            CtrlType::SET_HASH_MAPPING_SIZE => {
                self.hash.size = data[0];
                self.hash.mapping = [0; MAPPING_MAX];
                SUCCESS
            }
            CtrlType::SET_HASH_MAPPING => self.set_mapping(host, data),
            CtrlType::SET_HASH_ALGORITHM => match data[0] {
                XEN_NETIF_CTRL_HASH_ALGORITHM_NONE | XEN_NETIF_CTRL_HASH_ALGORITHM_TOEPLITZ => {
                    self.hash.algorithm = data[0];
                    SUCCESS
                }
                _ => INVALID,
            },
            CtrlType::GET_GREF_MAPPING_SIZE
            | CtrlType::ADD_GREF_MAPPING
            | CtrlType::DEL_GREF_MAPPING
                if self.config.features.gref_mapping > 0 =>
            {
                self.gref_request(host, kind, data)
            }
            _ => UNSUPPORTED,
        }
    }

    fn set_key<H: Host<Page = P>>(&mut self, host: &mut H, gref: u32, len: u32) -> Answer {
        let len = len as usize;
        if len > KEY_MAX {
            return INVALID;
        }
        let mut key = [0; KEY_MAX];
        let guest = self.config.frontend;
        if len > 0 && host.copy_from(guest, gref, 0, &mut key[..len]).is_err() {
            return INVALID;
        }
        self.hash.key = key;
        SUCCESS
    }

    fn set_mapping<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        [gref, len, first]: [u32; 3],
    ) -> Answer {
        if len
            .checked_add(first)
            .is_none_or(|end| end > self.hash.size)
        {
            return INVALID;
        }
        let mut bytes = vec![0; len as usize * 4];
        let guest = self.config.frontend;
        if len > 0 && host.copy_from(guest, gref, 0, &mut bytes).is_err() {
            return INVALID;
        }
        let mut mapping = self.hash.mapping;
        for (entry, word) in mapping[first as usize..].iter_mut().zip(bytes.chunks(4)) {
            *entry = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            if *entry >= self.queues.len() as u32 {
                return INVALID;
            }
        }
        self.hash.mapping = mapping;
        SUCCESS
    }

    fn ctrl_respond<H: Host<Page = P>>(
        &mut self,
        host: &mut H,
        id_type: u32,
        status: u32,
        data: u32,
    ) {
        if self.hostile.take_one(Attack::CtrlSilent) {
            return;
        }
        let mut words = [id_type, status, data];
        let tricks = |a| {
            matches!(
                a,
                Attack::CtrlId(_)
                    | Attack::CtrlType(_)
                    | Attack::CtrlStatus(_)
                    | Attack::CtrlData(_)
            )
        };
        for attack in self.hostile.take_each(tricks) {
            match attack {
                Attack::CtrlId(fake) => words[0] = words[0] & !0xFFFF | u32::from(fake),
                Attack::CtrlType(fake) => words[0] = words[0] & 0xFFFF | u32::from(fake) << 16,
                Attack::CtrlStatus(fake) => words[1] = fake,
                Attack::CtrlData(fake) => words[2] = fake,
                _ => {}
            }
        }
        let Some(ctrl) = &mut self.ctrl else {
            return;
        };
        ctrl.ring.put_words(ctrl.ring.rsp_prod_pvt, words);
        ctrl.ring.rsp_prod_pvt = ctrl.ring.rsp_prod_pvt.wrapping_add(1);
        if ctrl.ring.push() {
            host.notify(ctrl.port.number);
        }
    }
}
