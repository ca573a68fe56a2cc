/* A TCG plugin for QEMU 7.2 and newer that counts what the guest does, exactly.
 *
 * The counters live in a file that is mapped into QEMU, so whoever reads the file reads them while
 * the guest runs, without stopping it. It holds 64-bit integers in the byte order of this machine:
 *
 *   word 0              guest instructions executed
 *   word 1              device accesses: loads and stores that no memory answers
 *   word 2              `wfi` executed: how often the guest went to sleep
 *   word 3              bytes written to the serial console
 *   words 8+2n, 9+2n    words 0 and 1 as they were at the console's byte n
 *
 * Arguments: counters=FILE. It is meant for a guest with one vCPU.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The few declarations of the plugin interface that are needed, as distributions do not ship its
 * header. The names and signatures are those of QEMU's manual, "TCG Plugins", "Plugin API". */
typedef uint64_t plugin_id;
typedef uint32_t access_info;
struct block;
struct instruction;
struct hardware_address;
enum { ADD_U64 = 0 };
enum { READS_NO_REGISTERS = 0 };
enum { LOADS_AND_STORES = 3 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
size_t qemu_plugin_tb_n_insns(const struct block *);
struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
void *qemu_plugin_insn_haddr(const struct instruction *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct instruction *, void (*)(unsigned, void *), int,
                                            void *);
void qemu_plugin_register_vcpu_mem_cb(struct instruction *,
                                      void (*)(unsigned, access_info, uint64_t, void *), int, int,
                                      void *);
struct hardware_address *qemu_plugin_get_hwaddr(access_info, uint64_t);
bool qemu_plugin_hwaddr_is_io(const struct hardware_address *);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct hardware_address *);
const char *qemu_plugin_hwaddr_device_name(const struct hardware_address *);
bool qemu_plugin_mem_is_store(access_info);
/* Gone since version 2 of the interface (QEMU 9.0); a call an instruction does the same, slower. */
__attribute__((weak)) void qemu_plugin_register_vcpu_insn_exec_inline(struct instruction *, int,
                                                                      void *, uint64_t);

/* Which version of the interface this is for: 1 up to QEMU 8, 2 from 9.0 on. */
__attribute__((visibility("default"))) int qemu_plugin_version = INTERFACE;

enum { INSTRUCTIONS, ACCESSES, SLEEPS, CONSOLE_BYTES, FIRST_RECORD = 8 };
/* Room for what a thousand restarts say; where nothing is written the file has holes. */
enum { RECORDS = 1 << 22, WORDS = FIRST_RECORD + 2 * RECORDS };
static const uint32_t WFI = 0xd503207f;
/* The console of QEMU's virt: its region's name, and the register that a character is stored to. */
static const char CONSOLE[] = "pl011";
enum { DATA_REGISTER = 0, REGISTERS = 0xfff };

static uint64_t *counters;

static void count(unsigned vcpu, void *counter)
{
	(void)vcpu;
	++*(uint64_t *)counter;
}

static void count_executions(struct instruction *instruction, uint64_t *counter)
{
	if (qemu_plugin_register_vcpu_insn_exec_inline)
		qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, counter, 1);
	else
		qemu_plugin_register_vcpu_insn_exec_cb(instruction, count, READS_NO_REGISTERS, counter);
}

static void on_access(unsigned vcpu, access_info info, uint64_t address, void *unused)
{
	(void)vcpu, (void)unused;
	struct hardware_address *where = qemu_plugin_get_hwaddr(info, address);
	if (!where || !qemu_plugin_hwaddr_is_io(where))
		return;
	counters[ACCESSES]++;
	/* QEMU 7.2 gives the offset in the region here, later ones the address: the low bits agree. */
	uint64_t offset = qemu_plugin_hwaddr_phys_addr(where) & REGISTERS;
	if (!qemu_plugin_mem_is_store(info) || offset != DATA_REGISTER ||
	    strcmp(qemu_plugin_hwaddr_device_name(where), CONSOLE) != 0)
		return;
	uint64_t byte = counters[CONSOLE_BYTES];
	if (byte < RECORDS) {
		counters[FIRST_RECORD + 2 * byte] = counters[INSTRUCTIONS];
		counters[FIRST_RECORD + 2 * byte + 1] = counters[ACCESSES];
	}
	/* Last: whoever reads that there are so many bytes finds their records. */
	__atomic_store_n(&counters[CONSOLE_BYTES], byte + 1, __ATOMIC_RELEASE);
}

static void on_translation(plugin_id id, struct block *block)
{
	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
		struct instruction *instruction = qemu_plugin_tb_get_insn(block, i);
		const void *code = qemu_plugin_insn_haddr(instruction);
		uint32_t word = 0;
		if (code)
			memcpy(&word, code, sizeof word);
		count_executions(instruction, &counters[INSTRUCTIONS]);
		if (word == WFI)
			count_executions(instruction, &counters[SLEEPS]);
		qemu_plugin_register_vcpu_mem_cb(instruction, on_access, READS_NO_REGISTERS,
		                                 LOADS_AND_STORES, NULL);
	}
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *emulator,
                                                               int argc, char **argv)
{
	(void)emulator;
	static const char option[] = "counters=";
	if (argc != 1 || strncmp(argv[0], option, sizeof option - 1) != 0)
		return 1;
	int file = open(argv[0] + sizeof option - 1, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, WORDS * sizeof *counters) != 0)
		return 1;
	counters = mmap(NULL, WORDS * sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (counters == MAP_FAILED)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
