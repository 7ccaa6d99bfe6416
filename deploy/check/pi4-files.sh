# shellcheck shell=bash
# What a Raspberry Pi 4's kernel says of its processor, for qemu-user: it passes /proc and /sys through, and ONNX Runtime's
# cpuinfo, built for arm64, ends in a null pointer when it reads those of an x64 machine. Sourced by check-arm64.sh.

# pi4_files ROOT: files below ROOT, which qemu -L prefers to this machine's.
pi4_files() {
  local root=$1 cpu dir
  mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
  for cpu in 0 1 2 3; do
    printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n' "$cpu"
    printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
  done >"$root/proc/cpuinfo"
  for dir in present possible online; do echo 0-3 >"$root/sys/devices/system/cpu/$dir"; done
  for cpu in 0 1 2 3; do
    dir=$root/sys/devices/system/cpu/cpu$cpu
    mkdir -p "$dir"/{topology,cpufreq}
    echo 0 >"$dir/topology/physical_package_id"
    echo "$cpu" >"$dir/topology/core_id"
    echo 0-3 | tee "$dir"/topology/{cluster_cpus_list,core_siblings_list,package_cpus_list} >/dev/null
    echo "$cpu" | tee "$dir"/topology/{thread_siblings_list,core_cpus_list} >/dev/null
    echo 1500000 >"$dir/cpufreq/cpuinfo_max_freq"
    echo 600000 >"$dir/cpufreq/cpuinfo_min_freq"
    pi4_cache "$dir/cache/index0" 1 32K "$cpu"
    pi4_cache "$dir/cache/index1" 1 48K "$cpu"
    pi4_cache "$dir/cache/index2" 2 1024K 0-3
  done
}

pi4_cache() {
  mkdir -p "$1"
  echo "$2" >"$1/level"
  echo "$3" >"$1/size"
  echo "$4" >"$1/shared_cpu_list"
}
