import Media
import NetCore
import SDP
import SIPDialog
import SIPMessage
import SIPTransaction

// INVITE with Replaces (RFC 3891): its caller takes the place of a party of a call of ours, in the shard where that is,
// as `MessageSkim` has read the Replaces too. The call that it makes has no script: who talks to whom is said already.
extension CallShard {
  /// The one Replaces of an INVITE; nil where it has none.
  /// - Returns: `refused` where the request has been answered.
  func replaces(_ id: ServerTransactionID, _ message: Message, _ admitted: Admitted) -> ReplacesVerdict {
    guard message.has(.replaces) else { return .none }
    let values = message.all(.replaces)
    guard values.count == 1, let replaces = Replaces(values[0]) else {
      reply(id, message, 400, "Malformed Replaces")
      return .refused
    }
    // Who comes in by his address alone proves nothing: tags may have been seen.
    guard admitted.account != nil || admitted.trunk != nil else {
      reply(id, message, 403)
      return .refused
    }
    return .replaces(replaces)
  }

  enum ReplacesVerdict {
    case none
    case refused
    case replaces(Replaces)
  }

  /// Asks the call of the dialog that is to be replaced; `ready` answers the INVITE.
  func replace(_ replaces: Replaces, by leg: Leg) {
    let call = leg.call
    guard let place = shard(of: replaces.toTag) else {
      return hangUp(call, .init(side: .system, status: 481, cause: Cause(status: 481)))
    }
    let half = makeHalf(call, leg: leg, stage: .asking, leads: true)
    call.transferState.joining = half
    if let referrer = (try? call.invite.oneAddress(.referredBy))?.uri.decodedUser {
      half.transferor = String(decoding: referrer.prefix(128), as: UTF8.self)
      call.transferState.by = half.transferor
    }
    let request = JoinRequest(
      replaces: replaces, context: call.context, isReferral: false, transferor: half.transferor)
    post(
      HalfMessage(
        to: HalfName(shard: place, slot: CallShard.noSlot, generation: 0), from: half.name, body: .join(request)))
  }

  /// RFC 3891 §3: the INVITE is answered with what the other side can do.
  func answerReplacing(_ half: Half, _ leg: Leg, _ view: MediaView, who: String) {
    guard bringNear(leg, view.port, half), let sdp = answer(leg, of: view) else {
      let status = leg.port == nil ? 503 : 488
      post(.over(.init(side: .system, status: status, cause: .incompatibleDestination)), from: half)
      return joinFailed(half, status)
    }
    accept(leg, sdp: sdp)
    sendMedia(leg)
    join(half, leg, who: who)
    leg.call.transfer?.target = nil
  }

  private func answer(_ leg: Leg, of view: MediaView) -> [UInt8]? {
    guard let port = leg.port, let theirs = view.remote else { return nil }
    guard let offer = leg.remote else {
      guard
        let built = try? OfferAnswerSDP.relayedOffer(
          from: theirs.session, audio: theirs.audio, address: described(port), port: port.rtpPort,
          session: leg.description.identity, direction: .sendrecv)
      else { return nil }
      return leg.description.update(built)
    }
    let built =
      (try? OfferAnswerSDP.relayedAnswer(
        offer: offer.session, offerAudio: offer.audio, answer: theirs.audio, address: described(port),
        port: port.rtpPort, session: leg.description.identity, direction: .sendrecv))
      // Nothing in common with what they speak now: the other side is offered this afterwards.
      ?? OfferAnswerSDP.answer(
        to: offer.session, audio: offer.audio, codecs: Array(offer.audio.codecs),
        telephoneEvent: offer.audio.telephoneEvent, address: described(port), port: port.rtpPort,
        session: leg.description.identity)
    return leg.description.update(built)
  }
}
