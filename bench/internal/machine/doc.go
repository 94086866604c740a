// Package machine tells what a number was measured on, and what it cost.
//
// [Describe] names the machine, once for each report. A process takes its own
// [Usage] before and after the work; [Usage.Since] is the price of the work.
// [Steal] tells whether the hypervisor gave the CPU to somebody else meanwhile.
package machine
