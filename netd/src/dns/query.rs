//! What clients send, and what an answer begins with.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};

/// Bytes of a header (RFC 1035, section 4.1.1).
const HEADER: usize = 12;
/// Bytes of a datagram that no path splits (RFC 9715, section 3.1).
pub(super) const DATAGRAM: u16 = 1232;
/// Bytes of a datagram for who does not say what it takes (RFC 1035, section 4.2.1).
const LEAST: u16 = 512;

/// A question, as it was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) question: Query,
    message: Message,
}

/// What comes of bytes.
#[derive(Debug)]
pub(super) enum Read {
    Asked(Box<Asked>),
    /// Nothing that is answered here: this is to be said.
    Wrong(Message),
    /// Not worth a word: no question, so that nobody answers answers.
    Nothing,
}

impl Asked {
    /// Reads a message.
    pub(super) fn read(bytes: &[u8]) -> Read {
        let (Some([high, low, flags]), true) = (bytes.first_chunk(), bytes.len() >= HEADER) else {
            return Read::Nothing;
        };
        if flags & 0x80 != 0 {
            return Read::Nothing;
        }
        let id = u16::from_be_bytes([*high, *low]);
        let code = OpCode::from_u8((flags >> 3) & 0x0f);
        let wrong = |why| Read::Wrong(Message::error_msg(id, code, why));
        if code != OpCode::Query {
            return wrong(ResponseCode::NotImp);
        }
        let Ok(message) = Message::from_vec(bytes) else { return wrong(ResponseCode::FormErr) };
        let [question] = message.queries.as_slice() else { return wrong(ResponseCode::FormErr) };
        let asked = Self { question: question.clone(), message };
        match &asked.message.edns {
            Some(edns) if edns.version() > 0 => Read::Wrong(asked.reply(ResponseCode::BADVERS)),
            Some(_) | None => Read::Asked(Box::new(asked)),
        }
    }

    /// The client takes signatures (RFC 3225).
    pub(super) fn wants_signatures(&self) -> bool {
        self.message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// The client knows what "authentic" means (RFC 6840, section 5.7).
    pub(super) fn wants_authentic(&self) -> bool {
        self.message.metadata.authentic_data
    }

    /// The client checks signatures itself (RFC 4035, section 3.2.2).
    pub(super) fn checks_itself(&self) -> bool {
        self.message.metadata.checking_disabled
    }

    /// Bytes of a datagram that the client takes.
    pub(super) fn datagram(&self) -> usize {
        let edns = self.message.edns.as_ref();
        usize::from(edns.map_or(LEAST, Edns::max_payload).clamp(LEAST, DATAGRAM))
    }

    /// The answer, without records.
    pub(super) fn reply(&self, code: ResponseCode) -> Message {
        let asked = &self.message.metadata;
        let mut reply = Message::new(asked.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = asked.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.metadata.checking_disabled = asked.checking_disabled;
        reply.metadata.response_code = code;
        reply.add_query(self.question.clone());
        if self.message.edns.is_some() {
            reply.set_edns(self.edns());
        }
        reply
    }

    /// The same question, for a resolver.
    pub(super) fn onward(&self, id: u16) -> Message {
        let mut query = Message::new(id, MessageType::Query, OpCode::Query);
        query.metadata.recursion_desired = true;
        query.metadata.authentic_data = self.wants_authentic();
        query.metadata.checking_disabled = self.checks_itself();
        query.add_query(self.question.clone());
        if self.message.edns.is_some() {
            query.set_edns(self.edns());
        }
        query
    }

    /// Options are for the next hop alone (RFC 6891, section 6.1.1): none is passed on.
    fn edns(&self) -> Edns {
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM).set_dnssec_ok(self.wants_signatures());
        edns
    }
}
