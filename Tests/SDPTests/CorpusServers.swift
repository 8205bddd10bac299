// Servers, gateways, mobiles and what else comes with audio; then what does not.

let servers: [PhoneSDP] = [
  PhoneSDP(
    name: "FreeSWITCH 1.10",
    body: """
      v=0
      o=FreeSWITCH 1700000000 1700000001 IN IP4 203.0.113.9
      s=FreeSWITCH
      c=IN IP4 203.0.113.9
      t=0 0
      m=audio 27134 RTP/AVP 102 9 0 8 103 101
      a=rtpmap:102 opus/48000/2
      a=fmtp:102 useinbandfec=1; maxaveragebitrate=30000; maxplaybackrate=48000; ptime=20; minptime=10; maxptime=40
      a=rtpmap:9 G722/8000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:103 telephone-event/48000
      a=fmtp:103 0-15
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      a=ptime:20
      """,
    codecs: "OPUS/48000=102 G722/8000=9 PCMU/8000=0 PCMA/8000=8", event: 101, rtp: "203.0.113.9:27134",
    rtcp: "203.0.113.9:27135", ptime: 20),
  PhoneSDP(
    name: "Asterisk 18 (chan_pjsip)",
    body: """
      v=0
      o=- 1211453121 1211453121 IN IP4 198.51.100.4
      s=Asterisk
      c=IN IP4 198.51.100.4
      t=0 0
      m=audio 14082 RTP/AVP 8 0 3 101
      a=rtpmap:8 PCMA/8000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:3 GSM/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-16
      a=ptime:20
      a=maxptime:150
      a=sendrecv
      """,
    codecs: "PCMA/8000=8 PCMU/8000=0 GSM/8000=3", event: 101, rtp: "198.51.100.4:14082", rtcp: "198.51.100.4:14083",
    ptime: 20),
  PhoneSDP(
    name: "Asterisk 1.4 (chan_sip, silenceSupp)",
    body: """
      v=0
      o=root 2357 2357 IN IP4 198.51.100.5
      s=session
      c=IN IP4 198.51.100.5
      t=0 0
      m=audio 11424 RTP/AVP 3 0 8 101
      a=rtpmap:3 GSM/8000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-16
      a=silenceSupp:off - - - -
      a=sendrecv
      """,
    codecs: "GSM/8000=3 PCMU/8000=0 PCMA/8000=8", event: 101, rtp: "198.51.100.5:11424", rtcp: "198.51.100.5:11425"),
  PhoneSDP(
    name: "Grandstream (audio and H.264 video)",
    body: """
      v=0
      o=1001 8000 8000 IN IP4 192.168.5.44
      s=SIP Call
      c=IN IP4 192.168.5.44
      t=0 0
      m=audio 5004 RTP/AVP 0 8 4 18 2 97 9 101
      a=sendrecv
      a=rtpmap:0 PCMU/8000
      a=ptime:20
      a=rtpmap:8 PCMA/8000
      a=rtpmap:4 G723/8000
      a=rtpmap:18 G729/8000
      a=fmtp:18 annexb=no
      a=rtpmap:2 G726-32/8000
      a=rtpmap:97 iLBC/8000
      a=fmtp:97 mode=20
      a=rtpmap:9 G722/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      m=video 5006 RTP/AVP 99
      b=AS:1024
      a=sendrecv
      a=rtpmap:99 H264/90000
      a=fmtp:99 profile-level-id=428014; packetization-mode=0
      a=framerate:30
      """,
    codecs:
      "PCMU/8000=0 PCMA/8000=8 G723/8000=4 G729/8000=18 G726-32/8000=2 ILBC/8000=97 G722/8000=9",
    event: 101, rtp: "192.168.5.44:5004", rtcp: "192.168.5.44:5005", sections: 2, ptime: 20),
  PhoneSDP(
    name: "Snom (LF only, comfort noise, session-level direction)",
    body: """
      v=0
      o=root 1943862349 1943862349 IN IP4 192.168.7.9
      s=call
      c=IN IP4 192.168.7.9
      t=0 0
      a=sendonly
      m=audio 61288 RTP/AVP 9 0 8 13 101
      a=rtpmap:9 G722/8000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:13 CN/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      a=ptime:20
      """,
    codecs: "G722/8000=9 PCMU/8000=0 PCMA/8000=8", event: 101, noise: 13, rtp: "192.168.7.9:61288",
    rtcp: "192.168.7.9:61289", direction: "sendonly", ptime: 20),
  PhoneSDP(
    name: "Gateway over IPv6",
    body: """
      v=0
      o=- 25678 753849 IN IP6 2001:db8::1
      s=-
      c=IN IP6 2001:db8::1
      t=0 0
      m=audio 49170 RTP/AVP 0
      """,
    codecs: "PCMU/8000=0", rtp: "[2001:db8::1]:49170", rtcp: "[2001:db8::1]:49171"),
  PhoneSDP(
    name: "Old phone on hold (RFC 2543: c=0.0.0.0)",
    body: """
      v=0
      o=bob 2890844730 2890844731 IN IP4 10.0.0.9
      s=
      c=IN IP4 0.0.0.0
      t=0 0
      m=audio 49920 RTP/AVP 0
      a=rtpmap:0 PCMU/8000
      """,
    codecs: "PCMU/8000=0", rtp: "0.0.0.0:49920", rtcp: nil, direction: "sendonly"),
  PhoneSDP(
    name: "Video first, audio second, BFCP third",
    body: """
      v=0
      o=tandberg 5 1 IN IP4 10.2.2.2
      s=-
      c=IN IP4 10.2.2.2
      b=AS:1920
      t=0 0
      m=video 2328 RTP/AVP 97 34
      a=rtpmap:97 H264/90000
      a=fmtp:97 profile-level-id=42800c;max-mbps=108000
      a=rtpmap:34 H263/90000
      m=audio 2326 RTP/AVP 100 9 8
      a=rtpmap:100 MPEG4-GENERIC/48000
      a=fmtp:100 profile-level-id=24;streamtype=5;mode=AAC-hbr;config=11b0;sizeLength=13
      a=rtpmap:9 G722/8000
      m=application 5070 UDP/BFCP *
      a=floorctrl:c-s
      """,
    codecs: "MPEG4-GENERIC/48000=100 G722/8000=9 PCMA/8000=8", rtp: "10.2.2.2:2326", rtcp: "10.2.2.2:2327",
    sections: 3, index: 1),
  PhoneSDP(
    name: "VoLTE (AMR with several packings)",
    body: """
      v=0
      o=- 0 0 IN IP6 2001:db8:1::7
      s=-
      c=IN IP6 2001:db8:1::7
      t=0 0
      a=sendrecv
      m=audio 50000 RTP/AVP 104 102 105 100
      b=AS:41
      b=RS:0
      b=RR:0
      a=rtpmap:104 AMR-WB/16000/1
      a=fmtp:104 mode-change-capability=2;max-red=220
      a=rtpmap:102 AMR/8000/1
      a=fmtp:102 octet-align=1;mode-change-capability=2
      a=rtpmap:105 telephone-event/16000
      a=fmtp:105 0-15
      a=rtpmap:100 telephone-event/8000
      a=fmtp:100 0-15
      a=curr:qos local none
      a=des:qos mandatory local sendrecv
      a=ptime:20
      a=maxptime:240
      """,
    codecs: "AMR-WB/16000=104 AMR/8000=102", event: 100, rtp: "[2001:db8:1::7]:50000", rtcp: "[2001:db8:1::7]:50001",
    ptime: 20),
]

/// Chrome through a gateway that leaves the profile secured: nothing that this server can use.
let webRTC = """
  v=0
  o=- 4611731400430051336 2 IN IP4 127.0.0.1
  s=-
  t=0 0
  a=group:BUNDLE 0 1
  a=extmap-allow-mixed
  a=msid-semantic: WMS stream
  m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
  c=IN IP4 0.0.0.0
  a=rtcp:9 IN IP4 0.0.0.0
  a=ice-ufrag:EsAw
  a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
  a=ice-options:trickle
  a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F
  a=setup:actpass
  a=mid:0
  a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
  a=sendrecv
  a=msid:stream track
  a=rtcp-mux
  a=rtpmap:111 opus/48000/2
  a=rtcp-fb:111 transport-cc
  a=fmtp:111 minptime=10;useinbandfec=1
  a=rtpmap:63 red/48000/2
  a=fmtp:63 111/111
  a=rtpmap:9 G722/8000
  a=rtpmap:0 PCMU/8000
  a=rtpmap:8 PCMA/8000
  a=rtpmap:13 CN/8000
  a=rtpmap:110 telephone-event/48000
  a=rtpmap:126 telephone-event/8000
  a=ssrc:3735928559 cname:user
  m=application 9 UDP/DTLS/SCTP webrtc-datachannel
  c=IN IP4 0.0.0.0
  a=mid:1
  a=sctp-port:5000
  """

/// The same phone through a gateway that decrypts and leaves the rest: ICE, BUNDLE and red on RTP/AVP.
let plainWebRTC =
  webRTC.split(separator: "\n", omittingEmptySubsequences: false)
  .map { line in
    if line.hasPrefix("m=audio") { return "m=audio 30000 RTP/AVP 111 63 9 0 8 13 110 126" }
    if line.hasPrefix("c=IN") { return "c=IN IP4 203.0.113.77" }
    if line.hasPrefix("a=ice-options") { return "a=candidate:1 1 udp 2122260223 192.168.1.3 30000 typ host" }
    return String(line)
  }.joined(separator: "\n")

let t38Offer = """
  v=0
  o=- 1622118866 1622118867 IN IP4 203.0.113.20
  s=-
  c=IN IP4 203.0.113.20
  t=0 0
  m=image 4002 udptl t38
  a=T38FaxVersion:0
  a=T38MaxBitRate:14400
  a=T38FaxRateManagement:transferredTCF
  a=T38FaxMaxBuffer:1024
  a=T38FaxMaxDatagram:238
  a=T38FaxUdpEC:t38UDPRedundancy
  """
