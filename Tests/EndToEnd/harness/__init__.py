"""What the end-to-end tests, Scripts/demo and Scripts/bench drive the server with: the server itself, scripted phones,
sipp, baresip and pjsua2. Python's standard library only (pjsua2 apart), and nothing leaves the loopback addresses."""
