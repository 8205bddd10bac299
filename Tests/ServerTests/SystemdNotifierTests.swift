import Glibc
import Testing

@testable import Server

@Suite("systemd notification")
struct SystemdNotifierTests {
  /// The next datagram; empty when there is none.
  private func receive(_ descriptor: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 1000)
    let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  }

  @Test("sd_notify(3): ready, reloading, stopping are datagrams to $NOTIFY_SOCKET")
  func datagrams() throws {
    let folder = try TestFolder()
    let descriptor = try UnixSocket.bindDatagram(path: folder.file("notify"))
    defer { close(descriptor) }
    let notifier = SystemdNotifier(socket: folder.file("notify"))
    notifier.ready(status: "serving\n1")
    #expect(receive(descriptor) == "READY=1\nSTATUS=serving 1")
    notifier.reloading()
    #expect(receive(descriptor).wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=[0-9]+/) != nil)
    notifier.status("x")
    #expect(receive(descriptor) == "STATUS=x")
    notifier.stopping()
    #expect(receive(descriptor) == "STOPPING=1")
    #expect(receive(descriptor) == "")
  }

  @Test("nobody to tell is no error", arguments: [nil, "", "relative", "/nonexistent/notify", "@nobody-listens-here"])
  func nobody(socket: String?) {
    SystemdNotifier(socket: socket).ready()
  }
}
