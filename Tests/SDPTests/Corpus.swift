import Testing

// Session descriptions as phones and servers send them, shortened only where lines repeat.

struct PhoneSDP: Sendable, CustomTestStringConvertible {
  var name: String
  var body: String
  /// `NAME/clock=number` of each codec, in order.
  var codecs: String
  var event: UInt8?
  var noise: UInt8?
  var rtp: String
  var rtcp: String?
  var direction = "sendrecv"
  var sections = 1
  var index = 0
  var ptime: UInt16?

  var testDescription: String { name }
}

let phones = deskPhones + servers

let deskPhones: [PhoneSDP] = [
  PhoneSDP(
    name: "Linphone 5 (AVPF, rtcp-xr)",
    body: """
      v=0
      o=alice 3549 1876 IN IP4 192.168.1.10
      s=Talk
      c=IN IP4 192.168.1.10
      t=0 0
      a=ice-pwd:9e7b1d0f9e7b1d0f9e7b1d0f
      a=ice-ufrag:abcd1234
      a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
      a=record:off
      m=audio 7078 RTP/AVPF 96 97 98 0 8 18 101 99 100
      c=IN IP4 80.1.2.3
      a=rtpmap:96 opus/48000/2
      a=fmtp:96 useinbandfec=1
      a=rtpmap:97 speex/16000
      a=fmtp:97 vbr=on
      a=rtpmap:98 speex/8000
      a=fmtp:98 vbr=on
      a=fmtp:18 annexb=yes
      a=rtpmap:101 telephone-event/48000
      a=rtpmap:99 telephone-event/16000
      a=rtpmap:100 telephone-event/8000
      a=rtcp:52001
      a=candidate:1 1 UDP 2130706303 192.168.1.10 7078 typ host
      a=candidate:1 2 UDP 2130706302 192.168.1.10 7079 typ host
      a=rtcp-fb:* trr-int 1000
      a=rtcp-fb:* ccm tmmbr
      """,
    codecs: "OPUS/48000=96 SPEEX/16000=97 SPEEX/8000=98 PCMU/8000=0 PCMA/8000=8 G729/8000=18", event: 100,
    rtp: "80.1.2.3:7078", rtcp: "80.1.2.3:52001"),
  PhoneSDP(
    name: "baresip",
    body: """
      v=0
      o=- 3816452093 2134512349 IN IP4 10.0.0.5
      s=-
      c=IN IP4 10.0.0.5
      t=0 0
      a=tool:baresip 1.0.0
      m=audio 16494 RTP/AVP 0 8 101
      b=AS:128
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      a=rtcp:16495
      a=sendrecv
      a=label:1
      a=rtcp-rsize
      a=ssrc:1846537643 cname:sip:1000@nightjar.local
      a=ptime:20
      """,
    codecs: "PCMU/8000=0 PCMA/8000=8", event: 101, rtp: "10.0.0.5:16494", rtcp: "10.0.0.5:16495", ptime: 20),
  PhoneSDP(
    name: "Yealink T46 (optional SRTP: crypto on RTP/AVP)",
    body: """
      v=0
      o=- 20005 20005 IN IP4 192.168.0.21
      s=SDP data
      c=IN IP4 192.168.0.21
      t=0 0
      m=audio 11784 RTP/AVP 9 0 8 18 101
      a=rtpmap:9 G722/8000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:18 G729/8000
      a=fmtp:18 annexb=no
      a=fmtp:101 0-15
      a=rtpmap:101 telephone-event/8000
      a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj
      a=ptime:20
      a=sendrecv
      """,
    codecs: "G722/8000=9 PCMU/8000=0 PCMA/8000=8 G729/8000=18", event: 101, rtp: "192.168.0.21:11784",
    rtcp: "192.168.0.21:11785", ptime: 20),
  PhoneSDP(
    name: "Yealink (two sections: SRTP first, RTP second)",
    body: """
      v=0
      o=- 20100 20100 IN IP4 192.168.0.22
      s=SDP data
      c=IN IP4 192.168.0.22
      t=0 0
      m=audio 12000 RTP/SAVP 8 101
      a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj
      a=rtpmap:8 PCMA/8000
      a=rtpmap:101 telephone-event/8000
      m=audio 12000 RTP/AVP 8 101
      a=rtpmap:8 PCMA/8000
      a=rtpmap:101 telephone-event/8000
      """,
    codecs: "PCMA/8000=8", event: 101, rtp: "192.168.0.22:12000", rtcp: "192.168.0.22:12001", sections: 2, index: 1),
  PhoneSDP(
    name: "Polycom VVX (G.722.1 in two bit rates, 127 for events, fmtp before rtpmap)",
    body: """
      v=0
      o=- 1400000000 1400000000 IN IP4 172.16.1.7
      s=Polycom IP Phone
      c=IN IP4 172.16.1.7
      b=AS:512
      t=0 0
      a=sendrecv
      m=audio 2222 RTP/AVP 9 102 103 0 8 18 127
      a=rtpmap:9 G722/8000
      a=fmtp:102 bitrate=32000
      a=rtpmap:102 G7221/16000
      a=fmtp:103 bitrate=24000
      a=rtpmap:103 G7221/16000
      a=rtpmap:0 PCMU/8000
      a=rtpmap:8 PCMA/8000
      a=rtpmap:18 G729/8000
      a=fmtp:18 annexb=no
      a=rtpmap:127 telephone-event/8000
      """,
    codecs: "G722/8000=9 G7221/16000=102 G7221/16000=103 PCMU/8000=0 PCMA/8000=8 G729/8000=18", event: 127,
    rtp: "172.16.1.7:2222", rtcp: "172.16.1.7:2223"),
  PhoneSDP(
    name: "Cisco 7960 (no rtpmap for statics, old comfort noise)",
    body: """
      v=0
      o=Cisco-SIPUA 4120 4532 IN IP4 10.10.10.3
      s=SIP Call
      c=IN IP4 10.10.10.3
      t=0 0
      m=audio 18444 RTP/AVP 0 8 18 19 101
      a=rtpmap:19 CN/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-15
      """,
    codecs: "PCMU/8000=0 PCMA/8000=8 G729/8000=18", event: 101, noise: 19, rtp: "10.10.10.3:18444",
    rtcp: "10.10.10.3:18445"),
  PhoneSDP(
    name: "Cisco gateway (c= after m=, ptime, G729a in rtpmap)",
    body: """
      v=0
      o=CiscoSystemsSIP-GW-UserAgent 7594 9826 IN IP4 10.1.2.1
      s=SIP Call
      c=IN IP4 10.1.2.1
      t=0 0
      m=audio 17518 RTP/AVP 18 0 101 19
      c=IN IP4 10.1.2.1
      a=rtpmap:18 G729a/8000
      a=fmtp:18 annexb=no
      a=rtpmap:0 PCMU/8000
      a=rtpmap:101 telephone-event/8000
      a=fmtp:101 0-16
      a=rtpmap:19 CN/8000
      a=ptime:20
      """,
    codecs: "G729/8000=18 PCMU/8000=0", event: 101, noise: 19, rtp: "10.1.2.1:17518", rtcp: "10.1.2.1:17519",
    ptime: 20),
]
