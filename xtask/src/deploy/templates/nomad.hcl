# {{ name }} as a job of Nomad. Its qemu driver starts machines of x86 alone, so this is raw_exec, which
# runs what a unit of systemd runs; the folder is expected at {{ place }} on each such node.
job {{ name|json }} {
  type = "service"

  constraint {
    attribute = "${attr.cpu.arch}"
    value     = "arm64"
  }

  group "machine" {
    # The status is the machine's: whatever it is, a service is to be there.
    restart {
      attempts = 10
      interval = "10m"
      delay    = "5s"
      mode     = "delay"
    }

    task {{ name|json }} {
      driver       = "raw_exec"
      user         = {{ user|json }}
      # A client cuts this short at 30 s unless its own configuration has, in its block client,
      #   max_kill_timeout = "{{ patience }}s"
      kill_signal  = "SIGTERM"
      kill_timeout = "{{ patience }}s"

      config {
        command = "{{ place }}/run"
        args    = ["qemu"]
      }

      # What outlives the machine: its black box.
      env {
        STATE_DIRECTORY = "${NOMAD_ALLOC_DIR}/data"
      }

      resources {
        memory = {{ memory + 192 }}
      }
    }
  }
}
